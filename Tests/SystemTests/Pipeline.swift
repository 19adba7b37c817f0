import Kafka
import OrderShop
import Postgres
import StreamCore
import TestKit
import Testing
import Verification

/// All parts of Millrace on a schema and topics of the test: the write model, the daemons as processes, and the read
/// model.
struct Pipeline {
    static let sets = [
        "outbox", "orders", "inventory", "products", "commands", "processes", "projections", "order-summary",
        "dashboard", "sql-projections", "dead-letters",
    ]
    static let partitions: Int32 = 4

    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    /// The suffix of every topic's name.
    let topicSuffix: String

    /// The configuration of a reader of the read models, who sees the live version of each.
    var live: PostgresConfiguration {
        var configuration = postgres
        configuration.searchedFirst = []
        return configuration
    }

    /// Runs a test on the servers that all tests share.
    static func with(_ body: (Pipeline) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: sets) { postgres in
            let suffix = "-" + TestKafka.uniqueName("events")
            try await TestKafka.withTopics(named: allTopics(suffix), partitions: partitions) {
                try await body(
                    Pipeline(postgres: postgres, kafka: TestKafka.clientConfiguration(), topicSuffix: suffix))
            }
        }
    }

    static func topics(_ suffix: String) -> [String] { ["order", "payment", "shipment"].map { $0 + suffix } }

    /// The topics of the events and of the projections' dead letters.
    static func allTopics(_ suffix: String) -> [String] {
        topics(suffix)
            + ["order-summary", "dashboard"].flatMap { ["dlq\(suffix).\($0)", "retry\(suffix).\($0)"] }
    }

    // MARK: daemons

    func relay(_ settings: [String: String] = [:]) throws -> Executable {
        try daemon("outbox-relay", ["relay.topic_suffix": topicSuffix].merging(settings) { _, given in given })
    }

    func projection(_ settings: [String: String] = [:]) throws -> Executable {
        try daemon("order-summary-projection", consumer("order-summary").merging(settings) { _, given in given })
    }

    func dashboard(_ settings: [String: String] = [:]) throws -> Executable {
        try daemon("dashboard-projection", consumer("dashboard").merging(settings) { _, given in given })
    }

    /// A process that restarts with the same static member name gets its partitions back immediately.
    func orderProcess(_ settings: [String: String] = [:]) throws -> Executable {
        let own = consumer("order-process").merging(["projection.instance_id": "alone"]) { $1 }
        return try daemon("order-process", own.merging(settings) { _, given in given })
    }

    private func consumer(_ name: String) -> [String: String] {
        [
            "projection.topic_suffix": topicSuffix, "projection.service": "test" + topicSuffix,
            "projection.batch_max_records": "50", "dead_letters.letter_topic": "dlq\(topicSuffix).\(name)",
            "dead_letters.retry_topic": "retry\(topicSuffix).\(name)",
        ]
    }

    func handler(_ settings: [String: String] = [:]) throws -> Executable {
        let own = [
            "letters.service": "test" + topicSuffix, "letters.letter_topic_prefix": "dlq\(topicSuffix).",
            "letters.retry_topic_prefix": "retry\(topicSuffix).", "letters.poll_interval_ms": "50",
            "letters.stuck_after_ms": "3000",
        ]
        return try daemon("dead-letter-handler", own.merging(settings) { _, given in given })
    }

    func queryService(_ settings: [String: String] = [:]) throws -> Executable {
        try daemon("query-service", ["http.port": "0"].merging(settings) { _, given in given })
    }

    func commandService(_ settings: [String: String] = [:]) throws -> Executable {
        try daemon("command-service", ["http.port": "0"].merging(settings) { _, given in given })
    }

    /// Runs the operators' `millrace dead-letters` on the test's schema, and waits for its end.
    func deadLetters(_ arguments: String..., codes: Set<Int32> = [0]) async throws -> Executable {
        let command = try Executable(
            "millrace",
            ["dead-letters"] + arguments + ["--schema", postgres.schema, "--as", "tests"],
            environment: ["DATABASE_URL": url])
        let code = try await command.exitCode()
        #expect(codes.contains(code), "\(arguments): \(code): \(command.output) \(command.errors)")
        return command
    }

    /// Starts an operator's command of `millrace` that needs the database and Kafka.
    func command(_ arguments: String...) throws -> Executable {
        try serverCommand(arguments + ["--topic-suffix", topicSuffix])
    }

    /// Starts a command that needs the database and Kafka but has no topic suffix option.
    func serverCommand(_ arguments: [String]) throws -> Executable {
        let properties = kafka.properties.flatMap { ["--kafka", "\($0.key)=\($0.value)"] }
        return try Executable(
            "millrace",
            arguments + ["--database", url, "--schema", postgres.schema]
                + ["--bootstrap-servers", kafka.bootstrapServers] + properties)
    }

    /// Runs an operator's command of `millrace` that needs only the database, and waits for its end.
    func databaseCommand(_ arguments: String..., code: Int32 = 0) async throws -> Executable {
        let command = try Executable("millrace", arguments + ["--database", url, "--schema", postgres.schema])
        let ended = try await command.exitCode()
        #expect(ended == code, "\(arguments): \(ended): \(command.output) \(command.errors)")
        return command
    }

    /// Starts the operators' `millrace verify` on the test's schema and topics.
    func verifyCommand(_ arguments: String...) throws -> Executable {
        let properties = kafka.properties.flatMap { ["--kafka", "\($0.key)=\($0.value)"] }
        return try Executable(
            "millrace",
            ["verify"] + arguments + ["--database", url, "--schema", postgres.schema]
                + ["--bootstrap-servers", kafka.bootstrapServers, "--topic-suffix", topicSuffix] + properties)
    }

    /// The URL contains all libpq parameters as query parameters, because the path of a socket's folder cannot be a
    /// host before the question mark.
    private var url: String {
        let query = postgres.parameters.map { "\($0.key)=\($0.value.replacing("/", with: "%2F"))" }
        return "postgresql://?\(query.sorted().joined(separator: "&"))"
    }

    /// - Parameter file: a file with further settings.
    func daemon(_ name: String, _ settings: [String: String], file: String? = nil) throws -> Executable {
        var all = settings
        all["operations.port"] = "0"
        all["postgres.schema"] = postgres.schema
        all["kafka.bootstrap_servers"] = kafka.bootstrapServers
        // Both may contain a secret, and a secret must not be on a command line.
        var environment = ["DATABASE_URL": url]
        for (property, value) in kafka.properties {
            environment["MILLRACE_KAFKA__PROPERTIES__" + property.uppercased().replacing(".", with: "_")] = value
        }
        return try Executable(
            name,
            (file.map { ["--config", $0] } ?? [])
                + all.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] },
            environment: environment)
    }

    // MARK: the shop

    /// Plays this number of orders to their end, as fast as the database accepts them.
    func play(orders: Int, seed: UInt64 = 1) async throws {
        var configuration = ShopLoad.Configuration()
        configuration.seed = seed
        configuration.orders = orders
        configuration.ordersPerSecond = 0
        configuration.connections = 2
        configuration.customers = 100
        configuration.openOrders = 50
        try await ShopLoad(configuration, database: postgres).run()
    }

    // MARK: expected results

    /// Whether the outbox is empty, and every record is applied or parked by every projection.
    func isEverythingPassed() async throws -> Bool {
        guard try await number("SELECT count(*) FROM outbox") == 0 else { return false }
        let produced = try await recordsProduced()
        return try await number(
            """
            SELECT coalesce(min(passed), 0)::bigint FROM (
                SELECT sum(next_offset) AS passed FROM projection_offsets
                WHERE topic LIKE '%\(topicSuffix)' GROUP BY projection_id
            ) AS projection
            """) == produced
    }

    /// Compares the read models with the topics, and the topics with the write model.
    ///
    /// - Parameter wait: maximum time to wait until no event is under way.
    func verdict(
        waitingUpTo wait: Duration = .zero, _ change: (inout VerificationConfiguration) -> Void = { _ in }
    ) async throws -> Verdict {
        var configuration = VerificationConfiguration(writeModel: live, readModel: live, kafka: kafka)
        configuration.topicSuffix = topicSuffix
        change(&configuration)
        return try await Verification(configuration).run(waitingUpTo: wait)
    }

    /// Waits until all events have arrived. Fails if the read models differ from the events, or if an event of the
    /// write model is missing.
    func expectEverythingArrives(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let verdict = try await verdict(waitingUpTo: DeadlinePassed.limit)
        #expect(verdict.method == .events, sourceLocation: sourceLocation)
        #expect(verdict.isEqual && verdict.underWay.isNothing, "\(verdict)", sourceLocation: sourceLocation)
        for name in ["topics", "order_summary"] {
            #expect(verdict[name]?.checked ?? 0 > 0, "\(name)", sourceLocation: sourceLocation)
        }
    }

    /// Waits until the order summary has applied all committed events.
    func expectSummaryArrives() async throws {
        try await eventually {
            guard try await number("SELECT count(*) FROM outbox") == 0 else { return false }
            let applied = try await number(
                """
                SELECT sum(next_offset) FROM projection_offsets AS o JOIN projections AS p ON p.id = o.projection_id
                WHERE p.name = 'order-summary' AND topic LIKE '%\(topicSuffix)'
                """)
            return try await recordsProduced() == applied
        }
    }

    /// Fails if ``expectEverythingArrives()`` does not compare the dashboard, or if the dashboard is empty.
    func expectTheDashboardIsExact() async throws {
        let views = try await verdict(waitingUpTo: DeadlinePassed.limit).comparisons.filter {
            $0.name.hasPrefix("dashboard_")
        }
        #expect(views.count == 5)
        for view in views { #expect(view.checked > 0 && view.differing == 0 && view.undecided == nil, "\(view)") }
    }

    /// Runs a query whose result is one number.
    func number(_ query: String) async throws -> Int64 {
        let connection = try await PostgresConnection.connect(postgres)
        let result = try await connection.execute(.unprepared("SELECT (\(query))::bigint"))
        await connection.close()
        return try result.int64(0, 0)
    }

    /// Runs a query whose result is a column of texts.
    func texts(_ query: String) async throws -> [String] {
        let connection = try await PostgresConnection.connect(postgres)
        let result = try await connection.execute(.unprepared(query))
        await connection.close()
        return try (0..<result.rowCount).map { try result.string($0, 0) }
    }

    func execute(_ script: String) async throws {
        let connection = try await PostgresConnection.connect(postgres)
        try await connection.execute(script: script)
        await connection.close()
    }

    /// The number of records that were ever written to the topics.
    func recordsProduced() async throws -> Int64 {
        let admin = try KafkaAdmin(kafka)
        let partitions = Self.topics(topicSuffix).flatMap { topic in
            (0..<Self.partitions).map { TopicPartition(topic: topic, partition: $0) }
        }
        return try await admin.watermarks(of: partitions).values.reduce(0) { $0 + $1.high }
    }
}
