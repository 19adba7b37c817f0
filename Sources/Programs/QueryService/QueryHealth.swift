internal import Daemon
internal import Operations
internal import OrderQueries
internal import Synchronization

/// Converts the reports of the service's loops to health checks. The loops run whether or not the servers answer.
final class QueryHealth: Sendable {
    private static let database = "reads"

    private let health: HealthRegistry
    private let loops: [QueryService.WatchedLoop: WatchHandle]
    private let workers: [QueryService.WatchedWorker: WatchHandle]
    /// The reason why each database did not answer the last check; nil if it answered.
    private let failures = Mutex<[ReadServer: String?]>([:])
    private let started: @Sendable () -> Void

    /// - Parameters:
    ///   - loops: the loops of the service, each with the time between two iterations.
    ///   - workers: the workers of the service, each with the maximum time for one task.
    init(
        _ context: DaemonContext, loops: [QueryService.WatchedLoop: Duration],
        workers: [QueryService.WatchedWorker: Duration]
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
        case .pipeline(let server, let failure):
            loops[.init(.pipeline, server)]?.progressed()
            note(server, failure.map { "\($0)" })
        case .answering(let server):
            health.ready("reads from the \(server.rawValue)")
            for other in ReadServer.allCases where other != server {
                health.forget("reads from the \(other.rawValue)")
            }
        }
    }

    /// The service is ready if at least one server answers.
    private func note(_ server: ReadServer, _ failure: String?) {
        let failures = failures.withLock { failures in
            failures[server] = .some(failure)
            return failures
        }
        if failures.values.contains(where: { $0 == nil }) {
            health.ready(Self.database)
        } else {
            let reasons = failures.sorted { $0.key.rawValue < $1.key.rawValue }.compactMap(\.value)
            health.notReady(Self.database, because: "the database does not answer: \(reasons.joined(separator: "; "))")
        }
    }
}
