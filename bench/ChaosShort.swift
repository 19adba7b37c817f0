import Blocking
import Foundation
import Kafka
import Migrations
import OrderShop
import Postgres
import StreamCore

/// Runs a shop while faults are injected: each daemon is killed and restarted, the broker stops and restarts, and a
/// second projection joins its group and leaves it. After each fault, the bench measures the time until all events that
/// were committed by then have arrived in both read models. At the end, `millrace verify` must find no difference.
///
/// noida-db writes to its files only every few seconds. If it is killed, it loses the records that it has acknowledged
/// since the last write, and no client can recover them. So the relay is suspended before the kill until noida-db has
/// written.
enum ChaosShort {
    static let name = "chaos-short"
    static let partitions: Int32 = 4
    private static let ordersPerSecond = 50.0
    /// Maximum resident memory of each daemon, in MiB.
    private static let residentLimitMiB = 150.0

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        let system = try await ChaosSystem.start(on: servers)
        var configuration = ShopLoad.Configuration()
        configuration.seed = servers.seed
        configuration.ordersPerSecond = ordersPerSecond
        configuration.orderLifetime = .seconds(5)
        let load = ShopLoad(configuration, database: servers.postgres)
        let start = ContinuousClock.now
        let recoveries = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await load.run() }
            let recoveries = try await breakThings(ChaosPlan(seed: servers.seed), system)
            load.stop()
            try await group.waitForAll()
            return recoveries
        }
        try await system.verify()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let peak = try await system.stop()
        guard peak <= residentLimitMiB else {
            throw BenchError("a daemon had \(peak) MiB of memory, more than \(residentLimitMiB)")
        }
        var result = BenchResult(name: name)
        result.seed = servers.seed
        result.events = load.totals.events
        result.seconds = seconds
        result.peakRssMib = peak
        result.recoveries = recoveries
        return result
    }

    private static func breakThings(
        _ plan: ChaosPlan, _ system: ChaosSystem
    ) async throws -> [(fault: String, seconds: Double)] {
        var recoveries: [(fault: String, seconds: Double)] = []
        for step in plan.steps {
            if step.fault == .brokerKilled && !system.servers.hasOwnBroker {
                say("left out, as the cluster is not this bench's own: \(step.fault.rawValue)")
                continue
            }
            try await Task.sleep(for: step.pause)
            let start = try await system.suffer(step.fault)
            try await system.recover()
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            say("\(step.fault.rawValue): recovered after \(seconds) s")
            recoveries.append((step.fault.rawValue, seconds))
        }
        return recoveries
    }
}

/// All daemons of Millrace on the servers of a bench.
actor ChaosSystem {
    nonisolated let servers: BenchServers
    private let connection: PostgresConnection
    private var daemons: [Daemon: (process: DaemonProcess, port: Int)] = [:]
    private var peakMiB = 0.0
    private let folders: ChaosFolders
    private var folderPaths: String?

    private enum Daemon: String, CaseIterable {
        case relay = "outbox-relay"
        case orderSummary = "order-summary-projection"
        case dashboard = "dashboard-projection"
        case handler = "dead-letter-handler"
        case queryService = "query-service"
        case sqlProjection = "sql-projection"
        case secondOrderSummary
        /// Reads all topics again at the end of the run.
        case replay

        var program: String {
            switch self {
            case .secondOrderSummary: Daemon.orderSummary.rawValue
            case .replay: Daemon.sqlProjection.rawValue
            default: rawValue
            }
        }
    }

    /// Maximum time of a recovery.
    private static let patience: Duration = .seconds(60)

    static func start(on servers: BenchServers) async throws -> ChaosSystem {
        try await servers.makeTopics(
            [Daemon.orderSummary, .dashboard].flatMap { [letterTopic(of: $0, servers), retryTopic(of: $0, servers)] }
                + ChaosFolders.topics(servers))
        try await Migrator(servers.postgres).up(["dashboard", "sql-projections"])
        let system = ChaosSystem(servers, try await PostgresConnection.connect(servers.postgres))
        for daemon in Daemon.allCases where daemon != .secondOrderSummary && daemon != .replay {
            try await system.start(daemon)
        }
        try await system.recover()
        return system
    }

    private init(_ servers: BenchServers, _ connection: PostgresConnection) {
        self.servers = servers
        self.connection = connection
        folders = ChaosFolders(servers)
    }

    private static func letterTopic(of daemon: Daemon, _ servers: BenchServers) -> String {
        "dlq\(servers.topicSuffix).\(daemon.program)"
    }

    private static func retryTopic(of daemon: Daemon, _ servers: BenchServers) -> String {
        "retry\(servers.topicSuffix).\(daemon.program)"
    }

    private func start(_ daemon: Daemon) throws {
        let port = try LoopbackPort.findFree()
        var settings = ["operations.port": String(port)]
        switch daemon {
        case .relay: settings["relay.topic_suffix"] = servers.topicSuffix
        case .queryService: settings["http.port"] = "0"
        case .sqlProjection:
            let paths = try folderPaths ?? folders.write()
            folderPaths = paths
            settings["sql_projections.folders"] = paths
            settings["projection.instance_id"] = "\(daemon)"
        case .replay:
            settings["sql_projections.folders"] = try folders.write(version: ChaosFolders.replayVersion)
        case .handler:
            settings["letters.instance_id"] = "handler"
            settings["letters.letter_topic_prefix"] = "dlq\(servers.topicSuffix)."
            settings["letters.retry_topic_prefix"] = "retry\(servers.topicSuffix)."
        case .orderSummary, .dashboard, .secondOrderSummary:
            settings["projection.topic_suffix"] = servers.topicSuffix
            // A static member that stops keeps its partitions for a while. The second projection is a dynamic member,
            // so it leaves the group immediately.
            if daemon != .secondOrderSummary { settings["projection.instance_id"] = "\(daemon)" }
            settings["dead_letters.letter_topic"] = Self.letterTopic(of: daemon, servers)
            settings["dead_letters.retry_topic"] = Self.retryTopic(of: daemon, servers)
        }
        daemons[daemon] = (try servers.start(daemon.program, settings: settings), port)
    }

    // MARK: faults

    /// - Returns: the time of the fault.
    func suffer(_ fault: ChaosPlan.Fault) async throws -> ContinuousClock.Instant {
        let now = ContinuousClock.now
        switch fault {
        case .relayKilled: try await killAndStart(.relay)
        case .orderSummaryKilled: try await killAndStart(.orderSummary)
        case .dashboardKilled: try await killAndStart(.dashboard)
        case .handlerKilled: try await killAndStart(.handler)
        case .queryServiceKilled: try await killAndStart(.queryService)
        case .sqlProjectionKilled: try await killAndStart(.sqlProjection)
        case .brokerKilled: return try await killBroker()
        case .secondProjectionJoined:
            try start(.secondOrderSummary)
            try await waitForPartitions(of: .secondOrderSummary)
        case .secondProjectionLeft: try await stop(.secondOrderSummary)
        }
        return now
    }

    /// Stops the broker for two seconds.
    private func killBroker() async throws -> ContinuousClock.Instant {
        let relay = daemons[.relay]?.process
        relay?.signal(SIGSTOP)
        defer { relay?.signal(SIGCONT) }
        try await servers.waitUntilBrokerHasWritten()
        let start = ContinuousClock.now
        await servers.killBroker()
        try await Task.sleep(for: .seconds(2))
        try await servers.startBroker()
        return start
    }

    private func killAndStart(_ daemon: Daemon) async throws {
        if let (process, _) = daemons[daemon] {
            notePeak(of: process)
            await process.kill()
        }
        try start(daemon)
    }

    /// Waits until the daemon reads a partition.
    private func waitForPartitions(of daemon: Daemon) async throws {
        guard let (_, port) = daemons[daemon] else { return }
        try await servers.wait("partition for \(daemon)", within: Self.patience, every: .milliseconds(20)) {
            try await Self.answer(to: "/metrics", port: port)?.body.contains("lag_records{") == true
        }
    }

    private func stop(_ daemon: Daemon) async throws {
        guard let (process, _) = daemons.removeValue(forKey: daemon) else { return }
        notePeak(of: process)
        try await process.stop()
    }

    private func notePeak(of process: DaemonProcess) {
        if let peak = try? process.peakResidentMiB() { peakMiB = max(peakMiB, peak) }
    }

    // MARK: recovery

    /// Waits until all events that are committed now are published and applied by all projections, and every daemon is
    /// ready.
    func recover() async throws {
        let committed = try await number("SELECT coalesce(max(id), 0) FROM outbox")
        try await servers.wait("publication", within: Self.patience, every: .milliseconds(10)) {
            try await number("SELECT count(*) FROM outbox WHERE id <= \(committed)") == 0
        }
        var ends: [TopicPartition: Int64] = [:]
        try await servers.wait("broker", within: Self.patience) {
            if let found = try? await servers.ends() { ends = found }
            return !ends.isEmpty
        }
        try await servers.wait("application", within: Self.patience, every: .milliseconds(10)) {
            guard try await hasPassed(ends) else { return false }
            return try await haveFoldersPassed(ends, version: 1)
        }
        for (daemon, (_, port)) in daemons {
            try await servers.wait("ready \(daemon.rawValue)", within: Self.patience, every: .milliseconds(10)) {
                try await Self.answer(to: "/health/ready", port: port)?.status == 200
            }
        }
    }

    private func hasPassed(_ ends: [TopicPartition: Int64]) async throws -> Bool {
        let rows = try await connection.execute(
            """
            SELECT topic, partition, min(next_offset), count(*)
            FROM projection_offsets JOIN projections ON projections.id = projection_id
            WHERE projections.name IN ('order-summary', 'dashboard') GROUP BY topic, partition
            """)
        var passed: [TopicPartition: Int64] = [:]
        for row in 0..<rows.rowCount where try rows.int64(row, 3) == 2 {
            let partition = TopicPartition(topic: try rows.string(row, 0), partition: try rows.int32(row, 1))
            passed[partition] = try rows.int64(row, 2)
        }
        return ends.allSatisfy { partition, end in end == 0 || (passed[partition] ?? 0) >= end }
    }

    /// The folders read the topic of orders. There are no events of products.
    private func haveFoldersPassed(_ ends: [TopicPartition: Int64], version: Int) async throws -> Bool {
        for name in ChaosFolders.names {
            let rows = try await connection.execute(
                """
                SELECT partition, next_offset FROM projection_offsets JOIN projections ON projections.id = projection_id
                WHERE projections.name = $1 AND version = $2 AND topic = $3
                """,
                Parameters {
                    $0.append(name)
                    $0.append(Int32(version))
                    $0.append("order" + servers.topicSuffix)
                })
            var passed: [Int32: Int64] = [:]
            for row in 0..<rows.rowCount { passed[try rows.int32(row, 0)] = try rows.int64(row, 1) }
            for (partition, end) in ends where partition.topic == "order" + servers.topicSuffix && end > 0 {
                guard passed[partition.partition] ?? 0 >= end else { return false }
            }
        }
        return true
    }

    private func number(_ query: String) async throws -> Int64 {
        try await connection.execute(Statement(query)).int64(0, 0)
    }

    /// The response; nil if there is none.
    private static func answer(to target: String, port: Int) async throws -> RequestClient.Response? {
        guard let client = try? RequestClient(port: port) else { return nil }
        return try? await client.get(target)
    }

    // MARK: verification

    /// Runs `millrace verify`, which must find no difference.
    func verify() async throws {
        let folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let command = try SupervisedProcess(
            [
                folder.appending(path: "millrace").path, "verify", "--database", servers.databaseURL,
                "--bootstrap-servers", servers.kafka.bootstrapServers, "--topic-suffix", servers.topicSuffix,
                "--wait", "60s",
            ], logFile: "/dev/stderr", patienceSeconds: 5)
        let end = await command.waitForEnd()
        guard end == .exited(0) else { throw BenchError("millrace verify \(end)") }
        try await verifyFolders()
    }

    /// Reads the topics again into another version of each folder, and compares the rows.
    private func verifyFolders() async throws {
        let ends = try await servers.ends()
        try start(.replay)
        try await servers.wait("replay", within: Self.patience, every: .milliseconds(50)) {
            try await haveFoldersPassed(ends, version: ChaosFolders.replayVersion)
        }
        try await stop(.replay)
        try await ChaosFolders.compare(on: connection)
    }

    /// Stops all daemons.
    ///
    /// - Returns: the largest resident set of all daemons during the run, in MiB.
    func stop() async throws -> Double {
        for daemon in daemons.keys { try await stop(daemon) }
        folders.remove()
        await connection.close()
        return peakMiB
    }
}
