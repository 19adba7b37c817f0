internal import Daemon
internal import OrderQueries
internal import Postgres
internal import Settings

/// `[queries]`: how the service answers queries.
struct QuerySettings: FeatureSettings {
    var configuration: QueryServiceConfiguration
    /// The parameters of a replica's connections; nil for none.
    private let replicaParameters: [String: String]?

    init(from reader: SettingsReader) {
        let section = reader.section("queries", "How the service reads the database.")
        var queries = QueryServiceConfiguration()
        queries.readModels = Self.readModels(section)
        queries.connections = section.integer(
            "connections", default: queries.connections, in: 1...500,
            "Number of database sessions for reads. With two or more, one session serves single orders only.")
        queries.maxQueued = section.integer(
            "max_queued", default: queries.maxQueued, in: 1...1_000_000,
            "Maximum number of reads that wait for a session. Further reads are answered with 503.")
        queries.queueTimeoutMs = section.integer(
            "queue_timeout_ms", default: queries.queueTimeoutMs, in: 1...600_000,
            "Maximum time that a read waits for a session. It is then answered with 503.")
        queries.readTimeoutMs = section.integer(
            "read_timeout_ms", default: queries.readTimeoutMs, in: 1...600_000,
            "Maximum duration of a read. It is then answered with 504.")
        let replicaURL = section.optionalString(
            "read_url", example: "postgresql://millrace@replica:5432/millrace",
            """
            The connection URL of a streaming replica of the database, for reads. The URL must not have a password: \
            the service uses the password of [postgres], and also its user and database if the URL names none. While \
            the replica is unavailable or too far behind, the primary answers. Set it to reduce the load on the \
            primary.
            """,
            check: Self.problem(ofReplica:))
        replicaParameters = replicaURL.flatMap { try? PostgresConfiguration(url: $0).parameters }
        queries.replicaMaxDelayMs = section.integer(
            "read_max_delay_ms", default: queries.replicaMaxDelayMs, in: 100...3_600_000,
            """
            Maximum time by which the replica of read_url may be behind the primary. If the delay is longer, the \
            primary answers. Lower it if readers need newer data, but keep it well above the usual delay of the \
            replica.
            """)
        queries.fallback = section.choice(
            "fallback", default: queries.fallback,
            """
            The source of an order that the read model does not have yet. none: there is no other source. \
            write-model: the tables of the demo shop in the same schema; the answer names its source.
            """)
        queries.maxWaitSeconds = section.integer(
            "max_wait_s", default: queries.maxWaitSeconds, in: 0...600,
            """
            Maximum time that a request may wait for min_version. If a request asks for a longer wait, this time is \
            used.
            """)
        queries.maxWaiters = section.integer(
            "max_waiters", default: queries.maxWaiters, in: 1...1_000_000,
            "Maximum number of requests that wait for min_version. Further requests are answered with 503.")
        let channel = section.string(
            "notify_channel", default: NotifyChannels.orderSummary,
            """
            Channel of PostgreSQL's NOTIFY for applied events. At each notification the service looks for the versions \
            that requests wait for; it uses one more session to listen. Set it to the notify_channel of \
            order-summary-projection. "" only polls. Reads from a replica only poll, because a replica sends no \
            notifications.
            """, check: NotifyChannels.problem)
        queries.notifyChannel = NotifyChannels.channel(channel)
        queries.updateIntervalMs = section.integer(
            "update_interval_ms", default: queries.updateIntervalMs, in: 50...60_000,
            "Minimum time between two updates of a dashboard stream.")
        queries.pipelineIntervalMs = section.integer(
            "pipeline_interval_ms", default: queries.pipelineIntervalMs, in: 50...60_000,
            "Interval at which the service reads offsets, outbox and dead letters. X-As-Of is at most this old.")
        queries.heartbeatMs = section.integer(
            "heartbeat_ms", default: queries.heartbeatMs, in: 100...600_000,
            "Interval of the comments that keep an idle stream open.")
        section.reject(queries.validate())
        configuration = queries
    }

    private static func readModels(_ section: SectionReader) -> Set<QueryServiceConfiguration.ReadModel> {
        let all = QueryServiceConfiguration.ReadModel.allCases
        let names = section.strings(
            "read_models", default: all.map(\.rawValue),
            """
            The read models of orders that the service answers from. order-summary: /v1/orders, and the orders of \
            customers. dashboard: /v1/dashboard, the summaries of customers and the live page; it also needs \
            order-summary. Set it to [] to answer only queries in SQL: the database then needs no tables of orders.
            """)
        var readModels: Set<QueryServiceConfiguration.ReadModel> = []
        for name in names {
            guard let model = QueryServiceConfiguration.ReadModel(rawValue: name) else {
                section.reject(
                    "read_models", "\"\(name)\" is not one of: \(all.map(\.rawValue).joined(separator: ", "))")
                continue
            }
            readModels.insert(model)
        }
        return readModels
    }

    private static func problem(ofReplica url: String) -> String? {
        guard url.hasPrefix("postgresql://") || url.hasPrefix("postgres://"),
            let replica = try? PostgresConfiguration(url: url)
        else { return "is not a connection URL that libpq can read" }
        return replica.password == nil ? nil : "must not have a password: the password of [postgres] is used"
    }

    /// The configuration of the replica, with the user, the session settings and the time limits of the primary.
    func replica(of primary: PostgresConfiguration) -> PostgresConfiguration? {
        guard let replicaParameters else { return nil }
        var replica = primary
        replica.parameters = replicaParameters
        for key in ["user", "password", "dbname"] where replicaParameters[key] == nil {
            replica.parameters[key] = primary.parameters[key]
        }
        return replica
    }
}

/// `[page]`: the live page.
struct PageSettings: FeatureSettings {
    var chartScript: String
    /// The address of the command service: empty, `./`, or an HTTP URL.
    var commands: String

    /// The origin of `commands`, which the page's policy must allow; nil if it is the page's own origin.
    var commandsOrigin: String? {
        commands.firstMatch(of: #/^https?://[^/]+/#).map { String($0.output) }
    }

    init(from reader: SettingsReader) {
        let section = reader.section("page", "The live page.")
        chartScript = section.string(
            "chart_js", default: "/usr/share/javascript/chart.js/chart.min.js",
            """
            Path of Chart.js 3 on this machine (Debian: libjs-chart.js). Without the file the page shows tables \
            instead of charts.
            """)
        commands = section.string(
            "commands_url", default: "",
            """
            The address at which browsers reach command-service, for example "https://shop.example/", or "./" where a \
            gateway serves it under the same path as this page. The page then has a form for new orders. If the page \
            has another origin, command-service must allow it in http.allowed_origins. Without an address the page \
            shows no form.
            """)
        let isAddress = commands.wholeMatch(of: #/https?://[A-Za-z0-9.:\[\]\-]+(/[A-Za-z0-9._~/\-]*)?/#) != nil
        if !commands.isEmpty, commands != "./", !isAddress {
            section.reject("commands_url", "\"\(commands)\" is neither \"./\" nor an address of HTTP without a query")
            commands = ""
        }
    }
}
