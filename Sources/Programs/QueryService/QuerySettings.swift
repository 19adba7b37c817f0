internal import Daemon
internal import OrderQueries
internal import Settings

/// `[queries]`: how questions are answered.
struct QuerySettings: FeatureSettings {
    var configuration: QueryServiceConfiguration

    init(from reader: SettingsReader) {
        let section = reader.section("queries", "How questions are answered.")
        var queries = QueryServiceConfiguration()
        queries.connections = section.integer(
            "connections", default: queries.connections, in: 1...500,
            "Sessions of the database for reads. With several, one is kept for those that are quick.")
        queries.maxQueued = section.integer(
            "max_queued", default: queries.maxQueued, in: 1...1_000_000,
            "Reads that wait for a session; more are answered 503.")
        queries.queueTimeoutMs = section.integer(
            "queue_timeout_ms", default: queries.queueTimeoutMs, in: 1...600_000,
            "How long a read waits for a session before it is answered 503.")
        queries.readTimeoutMs = section.integer(
            "read_timeout_ms", default: queries.readTimeoutMs, in: 1...600_000,
            "How long a read may take before it is answered 504.")
        queries.fallback = section.choice(
            "fallback", default: queries.fallback,
            """
            What answers where the read model has nothing yet: none, or the tables of the demo shop's write model in \
            the same schema, and then the answer says so.
            """)
        queries.maxWaitSeconds = section.integer(
            "max_wait_s", default: queries.maxWaitSeconds, in: 0...600,
            "How long a request may wait for min_version, whatever it prefers.")
        queries.maxWaiters = section.integer(
            "max_waiters", default: queries.maxWaiters, in: 1...1_000_000,
            "Requests that wait so at once; more are answered 503.")
        queries.updateIntervalMs = section.integer(
            "update_interval_ms", default: queries.updateIntervalMs, in: 50...60_000,
            "The time between two updates of a dashboard that somebody looks at, at least.")
        queries.pipelineIntervalMs = section.integer(
            "pipeline_interval_ms", default: queries.pipelineIntervalMs, in: 50...60_000,
            "The time between two looks at offsets, outbox and dead letters; X-As-Of is so old at most.")
        queries.heartbeatMs = section.integer(
            "heartbeat_ms", default: queries.heartbeatMs, in: 100...600_000,
            "A stream on which nothing happens is sent a sign of life this often.")
        section.reject(queries.validate())
        configuration = queries
    }
}

/// `[page]`: the live page.
struct PageSettings: FeatureSettings {
    var chartScript: String

    init(from reader: SettingsReader) {
        let section = reader.section("page", "The live page.")
        chartScript = section.string(
            "chart_js", default: "/usr/share/javascript/chart.js/chart.min.js",
            "Where Chart.js 3 is on this machine (Debian: libjs-chart.js). Without it the page shows tables.")
    }
}
