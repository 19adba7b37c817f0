internal import Daemon
internal import Outbox
internal import Settings

/// `[relay]`: how the outbox is published.
struct RelaySettings: FeatureSettings {
    enum LayoutName: String, CaseIterable, Sendable {
        case millrace, debezium
    }

    var configuration: OutboxRelayConfiguration

    init(from reader: SettingsReader) {
        let section = reader.section("relay", "How the outbox is published.")
        let defaults = OutboxRelayConfiguration()
        var relay = defaults
        relay.table = section.string("table", default: defaults.table, "The outbox table.")
        relay.failedTable = section.string(
            "failed_table", default: defaults.failedTable, "Where rows go that can never be published.")
        let layout = section.choice("layout", default: LayoutName.millrace, "How the outbox table is laid out.")
        relay.retention = section.choice(
            "retention", default: defaults.retention,
            """
            What becomes of a row that Kafka acknowledged: it is deleted, or it is kept with its published_at set \
            (which needs the migrations of set outbox-keep).
            """)
        relay.topicSuffix = section.string(
            "topic_suffix", default: defaults.topicSuffix,
            "The topic of an event is its aggregate type in lower case and this, unless the row names a topic.")
        Self.readSharding(&relay, defaults, section)
        Self.readLimits(&relay, defaults, section)
        Self.readPacing(&relay, defaults, section)
        let debezium = reader.section(
            "relay.debezium", "The columns of Debezium's outbox layout; used when layout is \"debezium\".")
        let columns = Self.debezium(debezium)
        if layout == .debezium { relay.layout = .debezium(columns) }
        section.reject(relay.validate(), inner: ["debezium": debezium])
        configuration = relay
    }

    private static func readSharding(
        _ relay: inout OutboxRelayConfiguration, _ defaults: OutboxRelayConfiguration, _ section: SectionReader
    ) {
        relay.shards = section.integer(
            "shards", default: defaults.shards, in: 1...1_024,
            """
            Into how many parts the keys are divided. Each is published by one relay at a time, and all relays of a \
            table that are up share them evenly. The same for all of them: stop them all to change it.
            """)
        relay.electionIntervalMs = section.integer(
            "election_interval_ms", default: defaults.electionIntervalMs, in: 10...60_000,
            """
            The time between two looks at which relays are up and which shards are free, about. A relay that ends is \
            replaced within this time; one that joins has its part of the shards within a few times as long.
            """)
        relay.leaseCheckMs = section.integer(
            "lease_check_ms", default: defaults.leaseCheckMs, in: 100...60_000,
            "How long a relay trusts its lock without an answer from the database; then it asks before it publishes.")
    }

    private static func readLimits(
        _ relay: inout OutboxRelayConfiguration, _ defaults: OutboxRelayConfiguration, _ section: SectionReader
    ) {
        relay.pageRows = section.integer(
            "page_rows", default: defaults.pageRows, in: 1...100_000, "Most rows read at once.")
        relay.pageBytes = section.integer(
            "page_bytes", default: defaults.pageBytes, in: 1_024...(256 << 20),
            "Bytes read at once, about; large rows make pages of fewer.")
        relay.maxInFlightRows = section.integer(
            "max_in_flight_rows", default: defaults.maxInFlightRows, in: 1...1_000_000,
            "Most rows on their way to Kafka: what a crash may publish twice.")
        relay.maxInFlightBytes = section.integer(
            "max_in_flight_bytes", default: defaults.maxInFlightBytes, in: 1_024...(1 << 30),
            "Most bytes on their way to Kafka.")
        relay.removalRows = section.integer(
            "removal_rows", default: defaults.removalRows, in: 1...100_000, "Most rows removed by one statement.")
    }

    private static func readPacing(
        _ relay: inout OutboxRelayConfiguration, _ defaults: OutboxRelayConfiguration, _ section: SectionReader
    ) {
        relay.busyPollMs = section.integer(
            "busy_poll_ms", default: defaults.busyPollMs, in: 1...60_000,
            "The time between two looks at the outbox while rows come.")
        relay.idlePollMs = section.integer(
            "idle_poll_ms", default: defaults.idlePollMs, in: 1...60_000,
            "The time between two looks while none come: what the first event after a pause waits, at most.")
        relay.notifyChannel = section.optionalString(
            "notify_channel", example: "outbox",
            "Also look when PostgreSQL notifies this channel. NOTIFY takes a lock that all commits share.")
        relay.sweepIntervalMs = section.integer(
            "sweep_interval_ms", default: defaults.sweepIntervalMs, in: 100...3_600_000,
            "The time between two passes over the whole outbox, at least.")
        relay.unblockIntervalMs = section.integer(
            "unblock_interval_ms", default: defaults.unblockIntervalMs, in: 10...600_000,
            "The time between two looks whether an operator has freed a blocked key.")
        relay.drainTimeoutMs = section.integer(
            "drain_timeout_ms", default: defaults.drainTimeoutMs, in: 0...600_000,
            "How long a stop waits for acknowledgements; what has none is published again later.")
    }

    private static func debezium(_ section: SectionReader) -> DebeziumLayout {
        let defaults = DebeziumLayout()
        var layout = defaults
        layout.id = section.string(
            "id", default: defaults.id, "The event's identity: a uuid, or any type that has a text.")
        layout.aggregateType = section.string(
            "aggregate_type", default: defaults.aggregateType, "What the topic is made of.")
        layout.aggregateID = section.string("aggregate_id", default: defaults.aggregateID, "The record's key.")
        layout.type = section.string("type", default: defaults.type, "The event's type.")
        layout.payload = section.string("payload", default: defaults.payload, "The record's value, verbatim.")
        layout.position = section.string(
            "position", default: defaults.position,
            "The order of publishing, a unique bigint; added by the migrations of set outbox-debezium.")
        layout.topic = section.string(
            "topic", default: defaults.topic, "The topic; ${routedByValue} stands for the aggregate type.")
        layout.envelope = section.boolean(
            "envelope", default: defaults.envelope,
            "Publish Millrace's envelope instead of the bare payload; needs sequence and timestamp.")
        layout.sequence = section.optionalString(
            "sequence", example: "sequence", "The event's number within its aggregate: an integer, or its text.")
        layout.timestamp = section.optionalString(
            "timestamp", example: "created_at",
            """
            The event's time, which becomes the record's, too: timestamptz, timestamp (UTC), ISO 8601 text, or an \
            integer of milliseconds since 1970.
            """)
        layout.version = section.optionalString("version", example: "version", "The event's schema version.")
        layout.correlationID = section.optionalString(
            "correlation_id", example: "correlation_id", "The event's correlation id.")
        layout.causationID = section.optionalString(
            "causation_id", example: "causation_id", "The event's causation id.")
        layout.metadata = section.optionalString("metadata", example: "metadata", "The event's metadata, JSON.")
        layout.headerColumns = section.properties(
            "header_columns", underscoreIsDot: false, examples: [("tenant_id", "\"tenant-id\"")],
            """
            More columns to publish as headers: the column, and the header's name. Names that the relay writes itself \
            are refused.
            """)
        return layout
    }
}
