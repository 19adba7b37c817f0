import Testing

@testable import Projections

@Suite struct EventTypesTests {
    @Test func whatIsNotKnownIsOne() {
        let types = EventTypes(["A", "B", "A", "other"])
        #expect(types.names == ["A", "B", "other"])
        #expect(types.none == [0, 0, 0])
        #expect(types.index(of: "B") == 1)
        #expect(types.index(of: "other") == 2)
        #expect(types.index(of: "anything") == 2)
        #expect(EventTypes([]).names == ["other"])
    }
}
