internal import Kafka
internal import Logging
internal import Postgres
internal import Settings

/// The section `[log]`.
struct LogSettings: Sendable {
    var level: Logger.Level
    var format: LogFormat

    init(from reader: SettingsReader) {
        let section = reader.section("log", "Log lines. Every daemon writes them to standard error.")
        level = section.choice(
            "level", default: Logger.Level.info,
            """
            The lowest severity that is logged. Set debug while you look for the cause of a problem. SIGHUP applies a \
            change without a restart.
            """)
        format = section.choice(
            "format", default: LogFormat.text,
            "The format of a log line. Set json if a program reads the log.")
    }
}

/// The section `[operations]`: health, metrics and shutdown.
struct OperationsSettings: Sendable {
    var host: String
    var port: Int
    var stallAfter: Duration
    var stopTimeout: Duration

    init(from reader: SettingsReader, port defaultPort: Int) {
        let section = reader.section("operations", "Health checks, metrics and shutdown.")
        host = section.string(
            "host", default: "127.0.0.1",
            """
            The address that serves /health/startup, /health/live, /health/ready and /metrics. These paths have no \
            access control, so choose an address that only your monitoring can reach.
            """)
        port = section.integer(
            "port", default: defaultPort, in: 0...65_535,
            "The port of these paths. 0 selects any free port.")
        stallAfter = .seconds(
            section.integer(
                "stall_after_s", default: 120, in: 1...86_400,
                """
                Time without progress after which a loop or a partition counts as stalled. For a loop that pauses, the \
                length of its pause is added. If a loop is stalled, the process is not live, and systemd or Kubernetes \
                restarts it. If a partition is stalled, the process is not ready. Raise it if single transactions take \
                longer than this.
                """))
        stopTimeout = .seconds(
            section.integer(
                "stop_timeout_s", default: 30, in: 1...3_600,
                """
                Maximum time for a shutdown. After this time, the process exits at once with code 75. No event is \
                lost. Set it longer than the drain_timeout_ms of the daemon's own section.
                """))
    }
}

/// The section `[kafka]`: the cluster.
struct KafkaSettings: Sendable {
    var configuration: KafkaClientConfiguration

    init(from reader: SettingsReader, clientID defaultClientID: String) {
        let section = reader.section("kafka", "The Kafka cluster.")
        let servers = section.requiredString(
            "bootstrap_servers", example: "localhost:9092", environment: "KAFKA_BOOTSTRAP_SERVERS",
            "The brokers that the daemon connects to first, as host:port, separated by commas.")
        let clientID = section.string(
            "client_id", default: defaultClientID,
            "The name of this process in the brokers' logs and quotas.")
        let properties = section.properties(
            "properties", underscoreIsDot: true,
            examples: [("security.protocol", "\"ssl\""), ("sasl.password", "{ file = \"kafka-password\" }")],
            """
            Further properties of librdkafka, by their own names, quoted or nested. The daemon refuses the properties \
            that it sets itself (group.id, enable.auto.commit, acks …).
            """)
        configuration = KafkaClientConfiguration(
            bootstrapServers: servers, clientID: clientID, properties: properties)
        for problem in configuration.validate() where problem.property != "bootstrap.servers" {
            section.reject("properties", entry: problem.property, problem.message)
        }
    }
}

/// The section `[postgres]`: the database and its sessions.
struct PostgresSettings: Sendable {
    var configuration: PostgresConfiguration

    init(from reader: SettingsReader, applicationName: String) {
        let section = reader.section("postgres", "The PostgreSQL database.")
        let url = section.requiredURL(
            "url", schemes: ["postgresql", "postgres"], example: "postgresql://millrace@localhost:5432/millrace",
            environment: "DATABASE_URL", password: "password",
            "The connection URL. It may have the parameters of libpq (sslmode, host …).")
        let defaults = PostgresConfiguration()
        var configuration = defaults
        do {
            if !url.isEmpty { configuration = try PostgresConfiguration(url: url) }
        } catch {
            // libpq's message quotes the part that it cannot read, which may be the password.
            section.reject("url", "is not a connection URL that libpq can read")
        }
        if let password = section.secret(
            "password", example: "pg-password",
            "The password, for a URL without one: { file = … } or { env = … }.")
        {
            if configuration.password == nil { configuration.password = password.reveal() }
        }
        configuration.schema = section.string(
            "schema", default: "public",
            "The schema of the tables."
        ) {
            $0.isEmpty ? "must not be empty" : nil
        }
        configuration.applicationName = applicationName
        configuration.connectTimeoutMs = section.integer(
            "connect_timeout_ms", default: defaults.connectTimeoutMs, in: 100...600_000,
            "Maximum time for one attempt to connect.")
        configuration.statementTimeoutMs = section.integer(
            "statement_timeout_ms", default: defaults.statementTimeoutMs, in: 0...3_600_000,
            "Maximum duration of a statement. The server cancels a longer one. 0 sets no limit.")
        configuration.lockTimeoutMs = section.integer(
            "lock_timeout_ms", default: defaults.lockTimeoutMs, in: 0...3_600_000,
            "Maximum time that a statement waits for a lock. 0 sets no limit.")
        configuration.idleInTransactionTimeoutMs = section.integer(
            "idle_in_transaction_timeout_ms", default: defaults.idleInTransactionTimeoutMs, in: 0...3_600_000,
            """
            Maximum time that a session may be idle inside a transaction. After that, the server ends the session. 0 \
            sets no limit.
            """)
        configuration.tcpUserTimeoutMs = section.integer(
            "tcp_user_timeout_ms", default: defaults.tcpUserTimeoutMs, in: 0...600_000,
            """
            Maximum time that sent data may remain without an acknowledgement by the server. After that, the daemon \
            closes the connection. 0 uses the limit of the operating system.
            """)
        configuration.settings = section.properties(
            "settings", underscoreIsDot: false, examples: [("synchronous_commit", "\"on\"")],
            "Further parameters of the session, by PostgreSQL's own names.")
        self.configuration = configuration
    }
}
