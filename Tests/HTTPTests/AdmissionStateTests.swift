import Testing

@testable import HTTP

@Suite struct AdmissionStateTests {
    private let one = ClientIdentity(address: "192.0.2.1")
    private let other = ClientIdentity(address: "192.0.2.2")

    /// An admission state that gets the same limits at each call.
    private struct Limited {
        var state = AdmissionState()
        var limits: [Share: AdmissionState.Limit]

        init(requests: AdmissionState.Limit, waits: AdmissionState.Limit) {
            limits = [.request: requests, .wait: waits]
        }

        mutating func begin(_ share: Share, of client: ClientIdentity) -> AdmissionState.Refusal? {
            state.begin(share, of: client, within: limits[share] ?? (0, 0))
        }

        mutating func move(
            from old: Share, to new: Share, of client: ClientIdentity
        ) -> AdmissionState.Refusal? {
            state.move(from: old, to: new, of: client, within: limits[new] ?? (0, 0))
        }
    }

    @Test func sharesHaveTheirOwnLimits() {
        var state = Limited(requests: (3, 2), waits: (1, 1))
        #expect(state.begin(.request, of: one) == nil)
        #expect(state.begin(.request, of: one) == nil)
        #expect(state.begin(.request, of: one) == .client)
        #expect(state.begin(.request, of: other) == nil)
        #expect(state.begin(.request, of: other) == .server)
        #expect(state.begin(.wait, of: other) == nil)
        state.state.end(.request, of: one)
        #expect(state.begin(.request, of: other) == nil)
    }

    @Test func anExchangeGivesTheOldShareBack() {
        var state = Limited(requests: (1, 1), waits: (1, 1))
        #expect(state.begin(.request, of: one) == nil)
        #expect(state.move(from: .request, to: .wait, of: one) == nil)
        #expect(state.state.held(.request) == 0 && state.state.held(.wait) == 1)
        #expect(state.begin(.request, of: other) == nil)
        #expect(state.move(from: .request, to: .wait, of: other) == .server)
        #expect(state.state.held(.request) == 1, "a refused exchange keeps the old share")
        state.state.moveBack(from: .wait, to: .request, of: one)
        #expect(state.state.held(.request) == 2, "the exchange back is not refused")
        #expect(state.begin(.request, of: one) == .server)
        state.state.end(.request, of: one)
        state.state.end(.request, of: other)
        #expect(state.state.clientCount == 0, "no entry remains for clients that hold nothing")
    }

    /// A client that holds more than a decreased limit allows keeps what it holds, but gets no more.
    @Test func aLimitMayChange() {
        var state = Limited(requests: (2, 2), waits: (0, 0))
        #expect(state.begin(.request, of: one) == nil)
        #expect(state.begin(.request, of: one) == nil)
        state.limits[.request] = (5, 1)
        #expect(state.begin(.request, of: one) == .client)
        #expect(state.state.held(.request) == 2)
        #expect(state.begin(.request, of: other) == nil)
        state.limits[.request] = (5, 3)
        #expect(state.begin(.request, of: one) == nil)
    }

    @Test func addressesOfOneNetworkAreOneClient() {
        #expect(ClientIdentity(address: "2001:db8::1") == ClientIdentity(address: "2001:db8::ffff"))
        #expect(ClientIdentity(address: "2001:db8::1") != ClientIdentity(address: "2001:db8:0:1::1"))
        #expect(ClientIdentity(address: "::ffff:192.0.2.1") == one)
        #expect(one != other)
    }
}
