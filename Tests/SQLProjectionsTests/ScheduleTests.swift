import StreamCore
import Testing

@testable import SQLProjections

@Suite struct ScheduleTests {
    @Test func aKeyKeepsItsOrderAndEveryInterleavingComes() throws {
        var random = SplitMix64(seed: 7)
        let keys: [String?] = ["a", "b", "a", nil]
        var orders: Set<[Int]> = []
        var sizes: Set<Int> = []
        for _ in 0..<2_000 {
            let schedule = Schedule.random(keys, using: &random)
            #expect(schedule.order.sorted() == [0, 1, 2, 3])
            #expect(schedule.order.filter { $0 == 0 || $0 == 2 } == [0, 2])
            orders.insert(schedule.order)
            sizes.formUnion(schedule.batches.map(\.events.count))
        }
        // 4! orders. Half of them keep the two events of one key in order.
        #expect(orders.count == 12)
        #expect(sizes == [1, 2, 3, 4])
    }

    @Test func theSameSeedGivesTheSameWays() {
        func ways(_ seed: UInt64) -> [Schedule] {
            var random = SplitMix64(seed: seed)
            return (0..<20).map { _ in Schedule.random(["a", "b", nil, "b"], using: &random) }
        }
        #expect(ways(1) == ways(1))
        #expect(ways(1) != ways(2))
    }

    @Test func simplificationsLeaveOutOneThing() {
        let schedule = Schedule(batches: [.init(events: [2, 0], isRolledBackOnce: true), .init(events: [1])])
        let simpler = schedule.simplifications
        #expect(simpler.count == 5)
        #expect(simpler.map(\.order) == [[2, 1], [2, 0], [0, 1], [2, 0, 1], [2, 0, 1]])
        #expect(simpler[3].batches.allSatisfy { !$0.isRolledBackOnce })
        #expect(simpler[4].batches.map(\.events) == [[2], [0], [1]])
    }
}
