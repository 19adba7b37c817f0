internal import Daemon
internal import Operations
internal import Outbox
internal import Synchronization

/// Makes watches of what the relay reports: its loops turn whether or not the servers answer, its rows move when they
/// do.
final class RelayHealth: Sendable {
    private struct Shard {
        let loop: WatchHandle
        let rows: WatchHandle
        var published: Int64
    }

    private let context: DaemonContext
    private let sharing: WatchHandle
    private let shards = Mutex<[Int: Shard]>([:])

    init(_ context: DaemonContext) {
        self.context = context
        // The loop may rest for a second.
        sharing = context.health.watch(.loop, "ownership loop", limit: context.stallAfter + .seconds(1))
        sharing.turned(to: .working)
    }

    /// The loop that shares the shards out has turned.
    func turned() {
        sharing.progressed()
    }

    func progress(_ progress: RelayProgress) {
        shards.withLock { shards in
            var shard = shards[progress.shard] ?? watch(progress)
            report(progress)
            shard.loop.turned(to: .working)
            shard.loop.progressed()
            let hasWork = progress.isActive && (progress.inFlight > 0 || progress.backlog > 0)
            shard.rows.turned(to: hasWork ? .working : .idle)
            if progress.published != shard.published { shard.rows.progressed() }
            shard.published = progress.published
            shards[progress.shard] = shard
        }
    }

    /// A relay that cannot publish is not ready, nor is one whose rows need an operator's hand.
    private func report(_ progress: RelayProgress) {
        let condition = "outbox shard \(progress.shard)"
        switch progress.standing {
        case .away(let reason): context.health.notReady(condition, because: "away: \(reason)")
        case .publishing, .standingBy:
            context.started()
            if let trouble = progress.trouble {
                context.health.notReady(condition, because: trouble)
            } else {
                context.health.ready(condition)
            }
        }
    }

    private func watch(_ progress: RelayProgress) -> Shard {
        Shard(
            loop: context.health.watch(.loop, "relay loop \(progress.shard)", limit: context.stallAfter),
            rows: context.health.watch(.partition, "outbox shard \(progress.shard)", limit: context.stallAfter),
            published: progress.published)
    }
}
