internal import Daemon
internal import Operations
internal import OrderQueries

/// Makes watches of the service's loops, which turn whether or not the servers answer.
final class QueryHealth: Sendable {
    private static let database = "reads"

    private let health: HealthRegistry
    private let loops: [QueryService.Loop: WatchHandle]
    private let started: @Sendable () -> Void

    /// - Parameter loops: those that the service runs, each with the time between two turns.
    init(_ context: DaemonContext, loops: [QueryService.Loop: Duration]) {
        health = context.health
        started = context.started
        self.loops = Dictionary(
            uniqueKeysWithValues: loops.map { loop, pause in
                (loop, context.health.watch(.loop, "\(loop) loop", limit: context.stallAfter + pause))
            })
        for watch in self.loops.values { watch.turned(to: .working) }
        health.notReady(Self.database, because: "the database was not read yet")
    }

    func turned(_ turn: QueryService.Turn) {
        started()
        switch turn {
        case .loop(let loop): loops[loop]?.progressed()
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
