internal import StreamCore

extension RunnerState {
    /// The database says how many events failed in a row.
    mutating func counted(_ failures: Int?) {
        guard let failures, let change = brake.counted(failures) else { return }
        note(.brake(isOpen: change == .opened, failures: failures))
        // What failed when it was applied may have failed for the reason for which everything does.
        if change == .opened {
            for index in queue.indices { queue[index].plan.forgetFailures() }
        }
    }

    /// The brake is open: nothing is written but one event now and then, which is taken back.
    ///
    /// When nothing that was taken could be applied by itself, as none of it can be decoded, all waits: for a restart
    /// with a release that can, or for records that are still to be taken.
    mutating func advanceBrake() -> [Action] {
        var candidates = queue.map { ($0.id, $0.plan.candidates) }
        let count = candidates.reduce(0) { $0 + $1.1.count }
        guard count > 0 else { return [] }
        guard brake.isTryDue else {
            if brake.timer != nil { return [] }
            let timer = nextNumber()
            return [.sleep(.probe(timer), brake.wait(for: timer))]
        }
        var index = brake.takeTry(among: count)
        while index >= candidates[0].1.count { index -= candidates.removeFirst().1.count }
        database = .probing
        return [.probe(ProbeOrder(batch: candidates[0].0, item: candidates[0].1[index]))]
    }

    /// - Parameter failure: why the event cannot be applied; nil when it can, and the brake is released.
    mutating func probed(_ failure: EventFailure?) -> [Action] {
        if let unproven {
            self.unproven = nil
            return triedBeside(unproven, failure)
        }
        database = .idle
        recovered()
        if let failure {
            note(.probeFailed(failure))
        } else {
            counted(0)
        }
        return []
    }
}

/// One event to try.
struct ProbeOrder: Sendable, Equatable {
    let batch: BatchID
    let item: Int
    /// When it can be applied, the brake is released; else it only bears witness against others.
    var releasesBrake = true
}
