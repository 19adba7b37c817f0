internal import Daemon
internal import Outbox
internal import Settings
internal import StreamCore

/// `[relay]`: how the relay publishes the outbox.
struct RelaySettings: FeatureSettings {
    enum LayoutName: String, CaseIterable, Sendable {
        case millrace, debezium
    }

    var configuration: OutboxRelayConfiguration
    let limits: Live<RelayLimits>

    static let reloadableKeys = ["max_in_flight_rows", "max_in_flight_bytes", "busy_poll_ms", "idle_poll_ms"].map {
        "relay." + $0
    }

    func adopt(_ reloaded: Self) { limits.set(RelayLimits(reloaded.configuration)) }

    init(from reader: SettingsReader) {
        let section = reader.section("relay", "How the relay reads the outbox and publishes its rows.")
        let defaults = OutboxRelayConfiguration()
        var relay = defaults
        relay.table = section.string(
            "table", default: defaults.table,
            "The outbox table.")
        relay.failedTable = section.string(
            "failed_table", default: defaults.failedTable,
            "The table that receives rows that can never be published.")
        let layout = section.choice(
            "layout", default: LayoutName.millrace,
            "The layout of the outbox table.")
        relay.retention = section.choice(
            "retention", default: defaults.retention,
            """
            What the relay does with a row after Kafka acknowledged it. delete: it deletes the row. keep: it sets \
            published_at, which requires the migration set outbox-keep.
            """)
        relay.topicSuffix = section.string(
            "topic_suffix", default: defaults.topicSuffix,
            """
            Suffix of the topics. The name of a topic is the aggregate type in lower case and this suffix. A row that \
            names a topic is published to that topic instead.
            """)
        Self.readSharding(&relay, defaults, section)
        Self.readLimits(&relay, defaults, section)
        Self.readPacing(&relay, defaults, section)
        let debezium = reader.section(
            "relay.debezium",
            "Columns of the Debezium layout. They are used if layout is \"debezium\".")
        let columns = Self.debezium(debezium)
        if layout == .debezium { relay.layout = .debezium(columns) }
        section.reject(relay.validate(), inner: ["debezium": debezium])
        configuration = relay
        limits = Live(RelayLimits(relay))
    }

    private static func readSharding(
        _ relay: inout OutboxRelayConfiguration, _ defaults: OutboxRelayConfiguration, _ section: SectionReader
    ) {
        relay.shards = section.integer(
            "shards", default: defaults.shards, in: 1...1_024,
            """
            Number of shards into which the keys are divided. One relay publishes each shard, and all running relays \
            share the shards evenly. All relays of a table must have the same number: stop them all before you change \
            it.
            """)
        relay.electionIntervalMs = section.integer(
            "election_interval_ms", default: defaults.electionIntervalMs, in: 10...60_000,
            """
            Approximate interval at which a relay looks for other relays and for free shards. When a relay ends, \
            others take its shards within this time. A new relay receives its part of the shards within a few \
            intervals.
            """)
        relay.leaseCheckMs = section.integer(
            "lease_check_ms", default: defaults.leaseCheckMs, in: 100...60_000,
            """
            Time after which a relay asks the database whether it still holds its lock, before it publishes more.
            """)
    }

    private static func readLimits(
        _ relay: inout OutboxRelayConfiguration, _ defaults: OutboxRelayConfiguration, _ section: SectionReader
    ) {
        relay.pageRows = section.integer(
            "page_rows", default: defaults.pageRows, in: 1...100_000,
            "Maximum number of rows that the relay reads at once.")
        relay.pageBytes = section.integer(
            "page_bytes", default: defaults.pageBytes, in: 1_024...(256 << 20),
            "Approximate maximum size of the rows that the relay reads at once. Lower it to use less memory.")
        relay.maxInFlightRows = section.integer(
            "max_in_flight_rows", default: defaults.maxInFlightRows, in: 1...1_000_000,
            """
            Maximum number of rows that wait for Kafka's acknowledgement. After a crash the relay may publish these \
            rows again. SIGHUP applies a change without a restart.
            """)
        relay.maxInFlightBytes = section.integer(
            "max_in_flight_bytes", default: defaults.maxInFlightBytes, in: 1_024...(1 << 30),
            """
            Maximum size of the rows that wait for Kafka's acknowledgement. SIGHUP applies a change without a restart.
            """)
        relay.removalRows = section.integer(
            "removal_rows", default: defaults.removalRows, in: 1...100_000,
            "Maximum number of rows that one statement removes.")
    }

    private static func readPacing(
        _ relay: inout OutboxRelayConfiguration, _ defaults: OutboxRelayConfiguration, _ section: SectionReader
    ) {
        relay.busyPollMs = section.integer(
            "busy_poll_ms", default: defaults.busyPollMs, in: 1...60_000,
            """
            Interval at which the relay reads the outbox while it finds new rows. SIGHUP applies a change without a \
            restart.
            """)
        relay.idlePollMs = section.integer(
            "idle_poll_ms", default: defaults.idlePollMs, in: 1...60_000,
            """
            Interval at which the relay reads the outbox while it finds none. The first event after a pause waits at \
            most this long. SIGHUP applies a change without a restart.
            """)
        let channel = section.string(
            "notify_channel", default: NotifyChannels.outbox,
            """
            Channel of PostgreSQL's NOTIFY for new rows. While the outbox is empty, the relay reads it at each \
            notification, with one more session for each shard. command-service and order-process notify it after \
            their transactions. Your own service may send the same NOTIFY after COMMIT. With a NOTIFY inside a \
            transaction, all transactions that notify commit one after the other. "" only polls.
            """, check: NotifyChannels.problem)
        relay.notifyChannel = NotifyChannels.channel(channel)
        relay.sweepIntervalMs = section.integer(
            "sweep_interval_ms", default: defaults.sweepIntervalMs, in: 100...3_600_000,
            "Minimum time between two passes over the whole outbox.")
        relay.unblockIntervalMs = section.integer(
            "unblock_interval_ms", default: defaults.unblockIntervalMs, in: 10...600_000,
            "Interval at which the relay checks whether an operator has unblocked a key.")
        relay.drainTimeoutMs = section.integer(
            "drain_timeout_ms", default: defaults.drainTimeoutMs, in: 0...600_000,
            """
            Maximum time that a shutdown waits for Kafka's acknowledgements. The relay publishes rows without one \
            again after the next start.
            """)
    }

    private static func debezium(_ section: SectionReader) -> DebeziumLayout {
        let defaults = DebeziumLayout()
        var layout = defaults
        layout.id = section.string(
            "id", default: defaults.id,
            "Column of the event's identity. Any type that has a text form is allowed.")
        layout.aggregateType = section.string(
            "aggregate_type", default: defaults.aggregateType,
            "Column of the aggregate type, from which the topic is derived.")
        layout.aggregateID = section.string(
            "aggregate_id", default: defaults.aggregateID,
            "Column of the aggregate id, which becomes the record's key.")
        layout.type = section.string(
            "type", default: defaults.type,
            "Column of the event's type.")
        layout.payload = section.string(
            "payload", default: defaults.payload,
            "Column of the payload, which becomes the record's value, unchanged.")
        layout.position = section.string(
            "position", default: defaults.position,
            "Column of the publishing order, a unique bigint. The migration set outbox-debezium adds it.")
        layout.topic = section.string(
            "topic", default: defaults.topic,
            "Template of the topic. ${routedByValue} is replaced by the aggregate type.")
        layout.envelope = section.boolean(
            "envelope", default: defaults.envelope,
            """
            Whether the record's value is Millrace's envelope instead of the payload alone. It requires sequence and \
            timestamp.
            """)
        layout.sequence = section.optionalString(
            "sequence", example: "sequence",
            "Column of the event's number within its aggregate, an integer or its text.")
        layout.timestamp = section.optionalString(
            "timestamp", example: "created_at",
            """
            Column of the event's time: timestamptz, timestamp (UTC), ISO 8601 text, or an integer of milliseconds \
            since 1970. The time also becomes the record's timestamp.
            """)
        layout.version = section.optionalString(
            "version", example: "version",
            "Column of the event's schema version.")
        layout.correlationID = section.optionalString(
            "correlation_id", example: "correlation_id",
            "Column of the event's correlation id.")
        layout.causationID = section.optionalString(
            "causation_id", example: "causation_id",
            "Column of the event's causation id.")
        layout.metadata = section.optionalString(
            "metadata", example: "metadata",
            "Column of the event's metadata, JSON.")
        layout.headerColumns = section.properties(
            "header_columns", underscoreIsDot: false, examples: [("tenant_id", "\"tenant-id\"")],
            """
            Further columns to publish as headers: each column with the name of its header. The daemon refuses names \
            of headers that the relay writes itself.
            """)
        return layout
    }
}
