import Blocking
import Foundation
import Migrations
import Postgres
import StreamCore

/// All daemons on the servers of a bench, each with a port for health and metrics.
final class WatchedPipeline: Sendable {
    struct Daemon: Sendable {
        let name: String
        let process: DaemonProcess
        let port: Int
    }

    static let daemonNames = [
        "outbox-relay", "order-summary-projection", "dashboard-projection", "sql-projection", "dead-letter-handler",
        "command-service", "order-process", "query-service",
    ]

    let daemons: [Daemon]
    private let servers: BenchServers
    private let folders: ChaosFolders

    /// Starts the daemons. The caller must call ``stop()`` or ``kill()`` at the end.
    static func start(on servers: BenchServers) async throws -> WatchedPipeline {
        try await servers.makeTopics(
            ["order-summary", "dashboard", "order-process"].flatMap {
                [letters(of: $0, servers), retries(of: $0, servers)]
            }
                + ["inventory" + servers.topicSuffix] + ChaosFolders.topics(servers))
        try await Migrator(servers.postgres).up(
            ["dashboard", "sql-projections", "inventory", "commands", "processes"])
        let folders = ChaosFolders(servers)
        let paths = try folders.write()
        var daemons: [Daemon] = []
        for name in daemonNames {
            let port = try LoopbackPort.findFree()
            // The mock cluster answers an empty fetch only after the whole wait. With a short wait, fetching keeps all
            // processors busy, and the bench would measure the lack of processors.
            let settings = settings(of: name, servers, folders: paths).merging([
                "operations.port": "\(port)", "kafka.properties.fetch.wait.max.ms": "20",
            ]) { $1 }
            daemons.append(Daemon(name: name, process: try servers.start(name, settings: settings), port: port))
        }
        return WatchedPipeline(daemons, servers, folders)
    }

    private init(_ daemons: [Daemon], _ servers: BenchServers, _ folders: ChaosFolders) {
        self.daemons = daemons
        self.servers = servers
        self.folders = folders
    }

    private static func letters(of consumer: String, _ servers: BenchServers) -> String {
        "dlq\(servers.topicSuffix).\(consumer)"
    }

    private static func retries(of consumer: String, _ servers: BenchServers) -> String {
        "retry\(servers.topicSuffix).\(consumer)"
    }

    private static func settings(
        of daemon: String, _ servers: BenchServers, folders: String
    ) -> [String: String] {
        func consumer(_ name: String) -> [String: String] {
            [
                "projection.topic_suffix": servers.topicSuffix,
                "dead_letters.letter_topic": letters(of: name, servers),
                "dead_letters.retry_topic": retries(of: name, servers),
            ]
        }
        return switch daemon {
        case "outbox-relay": ["relay.topic_suffix": servers.topicSuffix]
        case "order-summary-projection": consumer("order-summary")
        case "dashboard-projection": consumer("dashboard")
        case "sql-projection": ["sql_projections.folders": folders]
        case "dead-letter-handler":
            [
                "letters.letter_topic_prefix": letters(of: "", servers),
                "letters.retry_topic_prefix": retries(of: "", servers),
            ]
        // The shop itself plays the steps of orders.
        case "order-process": consumer("order-process").merging(["order_process.since": "2100-01-01T00:00:00Z"]) { $1 }
        case "command-service": ["http.port": "0", "commands.domains": "orders"]
        default: ["http.port": "0"]
        }
    }

    /// Waits until all events of orders are published and applied, and all daemons are ready.
    func settle() async throws {
        let connection = try await PostgresConnection.connect(servers.postgres)
        try await servers.wait("publication", within: .seconds(120), every: .milliseconds(50)) {
            try await connection.execute("SELECT count(*) FROM outbox").int64(0, 0) == 0
        }
        let ends = try await servers.ends().values.reduce(0, +)
        try await servers.wait("application", within: .seconds(120), every: .milliseconds(50)) {
            let rows = try await connection.execute(Self.applied)
            return try rows.rowCount == 2 && (0..<2).allSatisfy { try rows.int64($0, 0) >= ends }
        }
        await connection.close()
        for daemon in daemons {
            try await servers.wait("ready \(daemon.name)", within: .seconds(60), every: .milliseconds(50)) {
                guard daemon.process.isRunning else { throw BenchError("\(daemon.name) has ended") }
                guard let client = try? RequestClient(port: daemon.port) else { return false }
                return try await client.get("/health/ready").status == 200
            }
        }
    }

    private static let applied: Statement = """
        SELECT sum(o.next_offset)::bigint FROM projection_offsets AS o JOIN projections AS p ON p.id = o.projection_id
        WHERE p.name IN ('order-summary', 'dashboard') AND o.topic NOT LIKE 'retry%' GROUP BY p.name
        """

    /// Stops all daemons.
    func stop() async throws {
        for daemon in daemons { try await daemon.process.stop() }
        folders.remove()
    }

    /// Kills all daemons with SIGKILL.
    func kill() async {
        for daemon in daemons { await daemon.process.kill() }
        folders.remove()
    }
}
