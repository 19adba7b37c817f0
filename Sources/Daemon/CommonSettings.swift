internal import Kafka
internal import Logging
internal import Postgres
internal import Settings

/// `[log]`.
struct LogSettings: Sendable {
    var level: Logger.Level
    var format: LogFormat

    init(from reader: SettingsReader) {
        let section = reader.section("log", "Log lines, on standard error.")
        level = section.choice("level", default: Logger.Level.info, "The least level that is written.")
        format = section.choice("format", default: LogFormat.text, "How a line looks.")
    }
}

/// `[operations]`: health, metrics and stopping.
struct OperationsSettings: Sendable {
    var host: String
    var port: Int
    var stallAfter: Duration
    var stopTimeout: Duration

    init(from reader: SettingsReader, port defaultPort: Int) {
        let section = reader.section("operations", "Health, metrics and stopping.")
        host = section.string(
            "host", default: "127.0.0.1",
            "The address that serves /health/live, /health/ready and /metrics. It knows no access control.")
        port = section.integer("port", default: defaultPort, in: 0...65_535, "Its port; 0 for any free one.")
        stallAfter = .seconds(
            section.integer(
                "stall_after_s", default: 120, in: 1...86_400,
                """
                A loop that does not turn for longer makes the process not live, which stops systemd's watchdog being \
                fed; a partition with work that does not move for longer makes it not ready.
                """))
        stopTimeout = .seconds(
            section.integer(
                "stop_timeout_s", default: 30, in: 1...3_600,
                """
                A stop that takes longer ends the process at once with exit code 75; nothing is lost by it. Longer \
                than the drain timeout of the work itself.
                """))
    }
}

/// `[kafka]`: how to reach the cluster.
struct KafkaSettings: Sendable {
    var configuration: KafkaClientConfiguration

    init(from reader: SettingsReader, clientID defaultClientID: String) {
        let section = reader.section("kafka", "The Kafka cluster.")
        let servers = section.requiredString(
            "bootstrap_servers", example: "localhost:9092", environment: "KAFKA_BOOTSTRAP_SERVERS",
            "Brokers to begin with, host:port, several separated by commas.")
        let clientID = section.string(
            "client_id", default: defaultClientID, "How the brokers' logs and quotas name this process.")
        let properties = section.properties(
            "properties", underscoreIsDot: true,
            examples: [("security.protocol", "\"ssl\""), ("sasl.password", "{ file = \"kafka-password\" }")],
            """
            More properties of librdkafka by their own names, quoted or nested. Those that the program owns \
            (group.id, enable.auto.commit, acks …) are refused.
            """)
        configuration = KafkaClientConfiguration(
            bootstrapServers: servers, clientID: clientID, properties: properties)
        for problem in configuration.validate() where problem.property != "bootstrap.servers" {
            section.reject("properties", entry: problem.property, problem.message)
        }
    }
}

/// `[postgres]`: how to reach the database, and what a session is like.
struct PostgresSettings: Sendable {
    var configuration: PostgresConfiguration

    init(from reader: SettingsReader, applicationName: String) {
        let section = reader.section("postgres", "The PostgreSQL database.")
        let url = section.requiredURL(
            "url", schemes: ["postgresql", "postgres"], example: "postgresql://millrace@localhost:5432/millrace",
            environment: "DATABASE_URL", password: "password",
            "A connection URL, with the parameters of libpq (sslmode, host …).")
        let defaults = PostgresConfiguration()
        var configuration = defaults
        do {
            if !url.isEmpty { configuration = try PostgresConfiguration(url: url) }
        } catch {
            // libpq quotes the part that it cannot read, which may be the password.
            section.reject("url", "is no connection URL that libpq can read")
        }
        if let password = section.secret(
            "password", example: "pg-password", "The password, if the URL has none: { file = … } or { env = … }.")
        {
            if configuration.password == nil { configuration.password = password.reveal() }
        }
        configuration.schema = section.string("schema", default: "public", "The schema that holds the tables.") {
            $0.isEmpty ? "must not be empty" : nil
        }
        configuration.applicationName = applicationName
        configuration.connectTimeoutMs = section.integer(
            "connect_timeout_ms", default: defaults.connectTimeoutMs, in: 100...600_000,
            "How long an attempt to connect may take.")
        configuration.statementTimeoutMs = section.integer(
            "statement_timeout_ms", default: defaults.statementTimeoutMs, in: 0...3_600_000,
            "How long a statement may take before the server cancels it; 0 for ever.")
        configuration.lockTimeoutMs = section.integer(
            "lock_timeout_ms", default: defaults.lockTimeoutMs, in: 0...3_600_000,
            "How long the server waits for a lock; 0 for ever.")
        configuration.idleInTransactionTimeoutMs = section.integer(
            "idle_in_transaction_timeout_ms", default: defaults.idleInTransactionTimeoutMs, in: 0...3_600_000,
            "How long a session may idle inside a transaction before the server ends it; 0 for ever.")
        configuration.tcpUserTimeoutMs = section.integer(
            "tcp_user_timeout_ms", default: defaults.tcpUserTimeoutMs, in: 0...600_000,
            "How long sent data may stay unacknowledged before the connection is given up; 0 for the system's.")
        configuration.settings = section.properties(
            "settings", underscoreIsDot: false, examples: [("synchronous_commit", "\"on\"")],
            "Further settings of the session by the server's own names.")
        self.configuration = configuration
    }
}
