internal import Daemon
internal import Operations
internal import Outbox
internal import Synchronization

/// Converts the relay's reports to health checks. The loops run whether or not the servers answer; the rows move only
/// if they answer.
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
        // The loop may pause for a second.
        sharing = context.health.watch(.loop, "ownership loop", limit: context.stallAfter + .seconds(1))
        sharing.turned(to: .working)
    }

    /// Notes an iteration of the loop that distributes the shards.
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

    /// Reports readiness. A relay is not ready if it cannot publish, or if its rows need an operator.
    private func report(_ progress: RelayProgress) {
        let condition = "outbox shard \(progress.shard)"
        switch progress.standing {
        case .away(let reason): context.health.notReady(condition, because: "unavailable: \(reason)")
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
