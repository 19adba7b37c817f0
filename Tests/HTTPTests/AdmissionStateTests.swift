import Testing

@testable import HTTP

@Suite struct AdmissionStateTests {
    private let one = ClientIdentity(address: "192.0.2.1")
    private let other = ClientIdentity(address: "192.0.2.2")

    private func state(requests: (Int, Int), waits: (Int, Int)) -> AdmissionState {
        var limits = AdmissionState.Limits()
        limits[.request] = requests
        limits[.wait] = waits
        return AdmissionState(limits)
    }

    @Test func sharesHaveTheirOwnLimits() {
        var state = state(requests: (3, 2), waits: (1, 1))
        #expect(state.begin(.request, of: one) == nil)
        #expect(state.begin(.request, of: one) == nil)
        #expect(state.begin(.request, of: one) == .client)
        #expect(state.begin(.request, of: other) == nil)
        #expect(state.begin(.request, of: other) == .server)
        #expect(state.begin(.wait, of: other) == nil)
        state.end(.request, of: one)
        #expect(state.begin(.request, of: other) == nil)
    }

    @Test func anExchangeGivesTheOldShareBack() {
        var state = state(requests: (1, 1), waits: (1, 1))
        #expect(state.begin(.request, of: one) == nil)
        #expect(state.move(from: .request, to: .wait, of: one) == nil)
        #expect(state.held(.request) == 0 && state.held(.wait) == 1)
        #expect(state.begin(.request, of: other) == nil)
        #expect(state.move(from: .request, to: .wait, of: other) == .server)
        #expect(state.held(.request) == 1, "what is refused keeps what it has")
        state.moveBack(from: .wait, to: .request, of: one)
        #expect(state.held(.request) == 2, "the way back is not refused")
        #expect(state.begin(.request, of: one) == .server)
        state.end(.request, of: one)
        state.end(.request, of: other)
        #expect(state.clientCount == 0, "nothing is remembered of those who hold nothing")
    }

    @Test func addressesOfOneNetworkAreOneClient() {
        #expect(ClientIdentity(address: "2001:db8::1") == ClientIdentity(address: "2001:db8::ffff"))
        #expect(ClientIdentity(address: "2001:db8::1") != ClientIdentity(address: "2001:db8:0:1::1"))
        #expect(ClientIdentity(address: "::ffff:192.0.2.1") == one)
        #expect(one != other)
    }
}
