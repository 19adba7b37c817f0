import Foundation
import Kafka
import Postgres
import StreamCore
import TestKit
import Testing

/// The installation of a team with its own events: its service's table and an outbox in one schema, and a projection in
/// SQL. It contains nothing of the demo shop.
struct OwnDomain {
    enum Layout: String, CaseIterable {
        case millrace, debezium
    }

    static let daemons = ["outbox-relay", "sql-projection", "query-service", "dead-letter-handler"]

    let layout: Layout
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    /// The projection's name.
    let name: String
    /// The folder of the test's files.
    let place: URL

    /// The schema of the projection's views.
    var views: String { name.replacing("-", with: "_") }
    var table: String { layout == .millrace ? "outbox" : "outboxevent" }
    var topicSuffix: String { "-\(name)-events" }
    /// The relay derives the topic from the aggregate type.
    var topic: String { "parcel\(topicSuffix)" }
    var folder: String { place.appending(path: "v1").path }

    static func with(_ layout: Layout, _ body: (OwnDomain) async throws -> Void) async throws {
        try await TestDatabase.withSchema { postgres in
            let name = "parcels-" + String(UInt64.random(in: .min ... .max), radix: 36)
            let place = FileManager.default.temporaryDirectory.appending(path: "millrace-\(name)")
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            let domain = OwnDomain(
                layout: layout, postgres: postgres, kafka: try TestKafka.clientConfiguration(), name: name,
                place: place)
            let topics = [domain.topic, "dlq.\(name)", "retry.\(name)"]
            let result: Result<Void, any Error>
            do {
                // A rebuild needs all events.
                let forever = ["retention.ms": "-1", "retention.bytes": "-1"]
                try await TestKafka.withTopics(named: topics, partitions: 2, settings: forever) {
                    try await body(domain)
                }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            try? FileManager.default.removeItem(at: place)
            try await domain.clean()
            try result.get()
        }
    }

    /// Removes what the versions created. Its names come from the projection's name, not from the test's schema.
    private func clean() async throws {
        try await execute(
            """
            DO $$
            DECLARE
                name text;
            BEGIN
                FOR name IN SELECT nspname FROM pg_namespace WHERE starts_with(nspname, '\(views)') LOOP
                    EXECUTE format('DROP SCHEMA %I CASCADE', name);
                END LOOP;
                FOR name IN SELECT rolname FROM pg_roles WHERE starts_with(rolname, '\(views)') LOOP
                    EXECUTE format('DROP ROLE %I', name);
                END LOOP;
            END
            $$
            """)
    }

    // MARK: files

    /// Writes the daemons' configuration files. They do not contain the addresses of the servers.
    func writeSettings() throws -> String {
        let settings = [
            "outbox-relay": """
            [relay]
            table = "\(table)"
            layout = "\(layout.rawValue)"
            topic_suffix = "\(topicSuffix)"
            idle_poll_ms = 20

            [relay.debezium]
            topic = "${routedByValue}\(topicSuffix)"

            [relay.debezium.header_columns]
            type = "eventType"
            """,
            "sql-projection": """
            [sql_projections]
            folders = ["\(folder)"]

            [projection]
            service = "\(name)"
            batch_linger_ms = 0
            """,
            "query-service": """
            [http]
            port = 0

            [queries]
            read_models = []

            [sql_queries]
            folders = ["\(folder)/queries"]
            """,
            "dead-letter-handler": """
            [letters]
            consumers = ["\(name)"]
            service = "\(name)"
            poll_interval_ms = 50
            """,
        ]
        for (daemon, text) in settings {
            try text.write(to: place.appending(path: "\(daemon).toml"), atomically: true, encoding: .utf8)
        }
        return place.path
    }

    /// Creates the folder of the projection as an operator does, and adapts it to the team's events.
    func makeFolder() async throws {
        let new = try Executable("millrace", ["projection", "new", folder])
        #expect(try await new.exitCode() == 0, "\(new.errors)")
        try change("projection.toml", in: folder) {
            $0.replacing(#/name = ".*"/#, with: "name = \"\(name)\"")
                .replacing(#/topics = .*/#, with: "topics = [\"\(topic)\"]")
                .replacing("format = \"millrace\"", with: "format = \"\(layout.rawValue)\"")
        }
        let files = FileManager.default
        for file in ["MoneyDeposited.sql", "tests"] { try files.removeItem(atPath: "\(folder)/\(file)") }
        for query in try files.contentsOfDirectory(atPath: folder + "/queries") {
            try files.removeItem(atPath: "\(folder)/queries/\(query)")
        }
        try write(
            "schema.sql", "CREATE TABLE parcels (parcel text PRIMARY KEY, grams bigint NOT NULL, scans int NOT NULL);")
        try write(
            "ParcelScanned.sql",
            """
            INSERT INTO parcels (parcel, grams, scans)
            SELECT aggregate_id, sum((payload ->> 'grams')::bigint), count(*) FROM events GROUP BY aggregate_id
            ON CONFLICT (parcel) DO UPDATE
            SET grams = parcels.grams + excluded.grams, scans = parcels.scans + excluded.scans;
            """)
        try write(
            "queries/\(name).sql",
            """
            -- A parcel.
            -- @reads \(name)
            -- @param parcel text required The parcel.
            -- @limit default=1 max=1
            SELECT parcel, grams, scans FROM parcels WHERE parcel = :parcel
            """)
    }

    /// Writes the folder of the next version, which has one additional column.
    func makeNextVersion() throws -> String {
        let next = place.appending(path: "v2").path
        try FileManager.default.copyItem(atPath: folder, toPath: next)
        try change("projection.toml", in: next) { $0.replacing("version = 1", with: "version = 2") }
        try change("schema.sql", in: next) {
            $0.replacing("scans int", with: "mean numeric GENERATED ALWAYS AS (grams / scans) STORED, scans int")
        }
        return next
    }

    private func write(_ file: String, _ text: String) throws {
        try (text + "\n").write(toFile: "\(folder)/\(file)", atomically: true, encoding: .utf8)
    }

    private func change(_ file: String, in folder: String, _ change: (String) -> String) throws {
        let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
        let changed = change(text)
        #expect(changed != text)
        try changed.write(toFile: "\(folder)/\(file)", atomically: true, encoding: .utf8)
    }

    // MARK: the team's service

    /// Creates the tables of the team's service. Its table `orders` has nothing to do with the demo shop.
    func makeTables() async throws {
        try await execute("CREATE TABLE orders (number bigint PRIMARY KEY, recipient text NOT NULL)")
        guard layout == .debezium else { return }
        try await execute(
            """
            CREATE TABLE \(table) (
                id uuid PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text NOT NULL, type text NOT NULL,
                payload jsonb
            );
            SELECT millrace_adopt_outbox('\(table)')
            """)
    }

    /// Commits a row of the team's table `orders` together with an event.
    ///
    /// - Parameters:
    ///   - grams: JSON.
    ///   - type: the aggregate type.
    func scan(_ parcel: String, _ number: Int, grams: String, type: String = "parcel") async throws {
        let event =
            switch layout {
            case .millrace:
                """
                INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload)
                VALUES ('ParcelScanned', '\(type)', '\(parcel)', \(number), '{"grams":\(grams)}')
                """
            case .debezium:
                """
                INSERT INTO outboxevent (id, aggregatetype, aggregateid, type, payload)
                VALUES (gen_random_uuid(), '\(type)', '\(parcel)', 'ParcelScanned', '{"grams":\(grams)}')
                """
            }
        try await execute("INSERT INTO orders VALUES (\(number), 'Ada') ON CONFLICT DO NOTHING; \(event)")
    }

    // MARK: programs

    func daemon(_ name: String) throws -> Executable {
        var environment = ["DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrapServers]
        for (property, value) in kafka.properties {
            environment["MILLRACE_KAFKA__PROPERTIES__" + property.uppercased().replacing(".", with: "_")] = value
        }
        let file = place.appending(path: "\(name).toml").path
        return try Executable(
            name,
            ["--config", file, "--set", "operations.port=0", "--set", "postgres.schema=\(postgres.schema)"],
            environment: environment)
    }

    /// Starts a command of `millrace`.
    ///
    /// - Parameter schema: whether the command has the option `--schema`.
    func start(_ arguments: [String], schema: Bool = true) throws -> Executable {
        try Executable(
            "millrace", arguments + (schema ? ["--schema", postgres.schema] : []),
            environment: ["DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrapServers])
    }

    func exitCode(_ arguments: [String]) async throws -> Int32 { try await start(arguments).exitCode() }

    /// Runs a command of `millrace` to its end.
    @discardableResult
    func millrace(
        _ arguments: [String], schema: Bool = true, code: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Executable {
        let command = try start(arguments, schema: schema)
        let ended = try await command.exitCode()
        #expect(
            ended == code, "\(arguments): \(ended): \(command.output) \(command.errors)",
            sourceLocation: sourceLocation)
        return command
    }

    /// The option of commands that read an outbox with another name.
    var tableOption: [String] { layout == .millrace ? [] : ["--table", table] }

    /// The URL contains all libpq parameters as query parameters, because the path of a socket's folder cannot be a
    /// host before the question mark.
    private var url: String {
        let query = postgres.parameters.map { "\($0.key)=\($0.value.replacing("/", with: "%2F"))" }
        return "postgresql://?\(query.sorted().joined(separator: "&"))"
    }

    // MARK: the database

    func number(_ query: String) async throws -> Int64 {
        let query = Statement.unprepared("SELECT (\(query))::bigint")
        return try await PostgresConnection.with(postgres) { try await $0.execute(query).int64(0, 0) }
    }

    func texts(_ query: String) async throws -> [String] {
        try await PostgresConnection.with(postgres) { connection in
            let rows = try await connection.execute(.unprepared(query))
            return try (0..<rows.rowCount).map { try rows.string($0, 0) }
        }
    }

    func execute(_ script: String) async throws {
        try await PostgresConnection.with(postgres) { try await $0.execute(script: script) }
    }
}
