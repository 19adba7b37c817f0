internal import Projections
internal import StreamCore

/// Checks whether a read model does not depend on how its events arrive: in any order that keeps the order of keys, in
/// batches of any size, with batches that are rolled back and applied again.
struct ConvergenceCheck {
    /// A schedule whose result differs from applying the events one by one.
    struct Counterexample: Sendable {
        let schedule: Schedule
        let expected: CaseRunner.Outcome
        let found: CaseRunner.Outcome
    }

    let runner: CaseRunner
    /// The number of schedules to try.
    let count: Int
    let seed: UInt64

    /// - Returns: the smallest counterexample that was found; nil if all schedules have the same result.
    func counterexample(of events: [SQLEvent]) async throws -> Counterexample? {
        let expected = try await runner.outcome(of: .oneByOne(events.count), events)
        var random = SplitMix64(seed: seed)
        let keys = events.map(key)
        var tried: Set<Schedule> = []
        for _ in 0..<count {
            let schedule = Schedule.random(keys, using: &random)
            guard tried.insert(schedule).inserted else { continue }
            let found = try await runner.outcome(of: schedule, events)
            if found != expected {
                return try await smallest(Counterexample(schedule: schedule, expected: expected, found: found), events)
            }
        }
        return nil
    }

    /// The key within which events keep their order: the aggregate in its topic; nil if the projection needs no order.
    private func key(_ event: SQLEvent) -> String? {
        runner.folder.order == .none ? nil : event.topic + "/" + event.aggregateID
    }

    /// Simplifies a counterexample as long as a difference remains.
    private func smallest(_ first: Counterexample, _ events: [SQLEvent]) async throws -> Counterexample {
        var best = first
        var isSmaller = true
        while isSmaller {
            isSmaller = false
            for schedule in best.schedule.simplifications {
                let plain = Schedule(batches: schedule.order.sorted().map { .init(events: [$0]) })
                let expected = try await runner.outcome(of: plain, events)
                let found = try await runner.outcome(of: schedule, events)
                guard found != expected else { continue }
                best = Counterexample(schedule: schedule, expected: expected, found: found)
                isSmaller = true
                break
            }
        }
        return best
    }
}
