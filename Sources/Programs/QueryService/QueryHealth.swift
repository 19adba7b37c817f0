internal import Daemon
internal import Operations
internal import OrderQueries

/// Makes watches of the service's loops, which turn whether or not the servers answer.
final class QueryHealth: Sendable {
    private static let database = "reads"

    private let health: HealthRegistry
    private let loops: [QueryService.Loop: WatchHandle]
    private let workers: [QueryService.Worker: WatchHandle]
    private let started: @Sendable () -> Void

    /// - Parameters:
    ///   - loops: those that the service runs, each with the time between two turns.
    ///   - workers: those that the service has, each with the maximum time of one piece of work.
    init(
        _ context: DaemonContext, loops: [QueryService.Loop: Duration], workers: [QueryService.Worker: Duration]
    ) {
        health = context.health
        started = context.started
        self.loops = Dictionary(
            uniqueKeysWithValues: loops.map { loop, pause in
                (loop, context.health.watch(.loop, "\(loop) loop", limit: context.stallAfter + pause))
            })
        for watch in self.loops.values { watch.turned(to: .working) }
        self.workers = Dictionary(
            uniqueKeysWithValues: workers.map { worker, limit in
                (worker, context.health.watch(.loop, "\(worker)", limit: context.stallAfter + limit))
            })
        health.notReady(Self.database, because: "the database was not read yet")
    }

    func turned(_ turn: QueryService.Turn) {
        started()
        switch turn {
        case .loop(let loop): loops[loop]?.progressed()
        case .worker(let worker, let activity):
            workers[worker]?.turned(to: activity == .idle ? .idle : .working)
            if activity == .moving { workers[worker]?.progressed() }
        case .pipeline(let failure):
            loops[.pipeline]?.progressed()
            if let failure {
                health.notReady(Self.database, because: "the database does not answer: \(failure)")
            } else {
                health.ready(Self.database)
            }
        }
    }
}
