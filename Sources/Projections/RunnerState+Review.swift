internal import StreamCore

// Memory against the database. The state machine knows offsets and open circuit breakers, and the database worker knows
// blocked keys. PostgreSQL has the truth of all of them, and it can go back: a failover to an asynchronous replica, a
// restored backup and a crash with `synchronous_commit = off` lose the last committed transactions. All of them end the
// session. So nothing is written in a new session before everything is compared again, and an idle runner looks after
// its session. Backups can also be restored below a session, so the comparison is repeated from time to time.
//
// A transaction holds the effects and the offset together. So a partition whose stored offset went back is read again
// from there, and each lost event is applied once more.

extension RunnerState {
    /// Handles a new session, in which the work in progress was not begun.
    mutating func sessionReplaced() {
        abandonWork()
        database = .idle
        isReviewDue = true
    }

    /// Compares the partitions with what the database has.
    mutating func reviewed(
        _ offsets: [TopicPartition: Int64], _ open: [TopicPartition: [FailureCounts.Kind]]
    ) -> [Action] {
        database = .idle
        // If there are records to write, only a write shows whether the database works.
        if queue.isEmpty { recovered() }
        var actions: [Action] = []
        var fenced: [TopicPartition] = []
        for (partition, stored) in offsets.sorted(by: { $0.key < $1.key }) {
            guard let state = partitions[partition] else { continue }
            switch state.phase {
            case .unknown, .loading, .rewinding, .revoked: continue
            case .starting, .active, .ending, .stopped, .doubtful, .examining, .held: break
            }
            if stored < state.committed {
                drop(partition)
                // A stopped partition too: the records before the failed one must be applied again.
                partitions[partition]?.phase = .unknown
            } else if stored > state.committed {
                fenced.append(partition)
                reload(partition)
            } else {
                actions += breakerReviewed(partition, open: open[partition] ?? [])
            }
        }
        if !fenced.isEmpty { note(.fenced(fenced)) }
        return actions
    }

    private mutating func breakerReviewed(_ partition: TopicPartition, open: [FailureCounts.Kind]) -> [Action] {
        if Set(open) == Set(breakers[partition]?.kinds ?? []) { return [] }
        guard partitions[partition]?.phase != .held else {
            // Its records wait for a circuit breaker that is another one now.
            reload(partition)
            return []
        }
        breakerLoaded(partition, open: open)
        return open.isEmpty ? [] : hold(partition)
    }
}
