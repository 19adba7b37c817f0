/// The settings of a relay. The defaults suit a service that commits up to some tens of thousands of events a second.
public struct OutboxRelayConfiguration: Sendable, Hashable {
    /// What the relay does with a row after Kafka acknowledged it.
    public enum Retention: String, Sendable, Hashable, CaseIterable {
        /// Deletes the row.
        case delete
        /// Sets `published_at`. Another program must prune the rows. It requires the index of migration set
        /// `outbox-keep`.
        case keep
    }

    /// The layout of the outbox table.
    public enum Layout: Sendable, Hashable {
        /// Millrace's layout, created by migration set `outbox`.
        case millrace
        /// The layout of Debezium's outbox event router, with an additional position column; see ``DebeziumLayout``.
        case debezium(DebeziumLayout)
    }

    /// The name of the outbox table, in the session's schema.
    public var table = "outbox"
    /// The name of the table for rows that can never be published.
    public var failedTable = "outbox_failed"
    /// The name of the table that records the actions of operators on failed rows.
    var historyTable: String { failedTable + "_history" }
    public var layout = Layout.millrace
    public var retention = Retention.delete
    /// The topic of an event is its aggregate type in lower case plus this suffix, unless the row specifies a topic.
    /// The Debezium layout has its own template.
    public var topicSuffix = "-events"

    /// The number of shards into which the keys are divided. One relay at a time publishes a shard; a process may
    /// publish several shards. All relays of a table must have the same number. To change it, stop all of them first.
    public var shards = 1
    /// Approximate time between two attempts of a standby to take over a shard, in milliseconds.
    public var electionIntervalMs = 1_000
    /// Maximum age of the last answer on the connection that holds the lock, in milliseconds. If it is older, the relay
    /// verifies the lock before it publishes.
    public var leaseCheckMs = 2_000

    /// Maximum number of rows in a page.
    public var pageRows = 1_000
    /// Approximate maximum size of a page, in bytes. The relay requests fewer rows when they are large.
    public var pageBytes = 1 << 20
    /// Maximum number of rows in flight to Kafka. A crash may publish these rows twice.
    public var maxInFlightRows = 4_000
    /// Maximum size of the keys and values in flight to Kafka, in bytes. If they do not fit into the processor's cache,
    /// publishing becomes slower.
    public var maxInFlightBytes = 3 << 20
    /// Maximum number of rows that one statement removes.
    public var removalRows = 2_000

    /// Time between two reads of the outbox while it contains rows, in milliseconds.
    public var busyPollMs = 1
    /// Maximum time between two reads of the outbox while it is empty, in milliseconds. The first event after a pause
    /// waits up to this time.
    public var idlePollMs = 20
    /// The channel of a NOTIFY after which the relay reads an empty outbox at once; nil to only poll. The program that
    /// writes to the outbox should send it after COMMIT. Inside a transaction, NOTIFY takes a lock at commit that all
    /// writers of the database share.
    public var notifyChannel: String?
    /// Minimum time between two passes over the whole outbox, in milliseconds.
    public var sweepIntervalMs = 10_000
    /// Time between two checks whether an operator has unblocked a key, in milliseconds. There are no checks while no
    /// key is blocked.
    public var unblockIntervalMs = 2_000
    /// Maximum time for which a graceful stop waits for acknowledgements, in milliseconds. Rows without an
    /// acknowledgement are published again later.
    public var drainTimeoutMs = 10_000

    public init() {}

    /// All problems of the configuration; empty if it is valid.
    public func validate() -> [String] {
        var problems: [String] = []
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        require(!table.isEmpty, "table: must not be empty")
        require(!failedTable.isEmpty, "failedTable: must not be empty")
        require(failedTable != table, "failedTable: must not be the outbox itself")
        require((1...1_024).contains(shards), "shards: must be 1 to 1024")
        require(electionIntervalMs >= 10, "electionIntervalMs: must be 10 or more")
        require(leaseCheckMs >= 100, "leaseCheckMs: must be 100 or more")
        require((1...100_000).contains(pageRows), "pageRows: must be 1 to 100000")
        require(pageBytes >= 1_024, "pageBytes: must be 1024 or more")
        require((1...1_000_000).contains(maxInFlightRows), "maxInFlightRows: must be 1 to 1000000")
        require(maxInFlightBytes >= 1_024, "maxInFlightBytes: must be 1024 or more")
        require((1...100_000).contains(removalRows), "removalRows: must be 1 to 100000")
        require(busyPollMs >= 1, "busyPollMs: must be 1 or more")
        require(idlePollMs >= busyPollMs, "idlePollMs: must not be less than busyPollMs")
        require(sweepIntervalMs >= 100, "sweepIntervalMs: must be 100 or more")
        require(unblockIntervalMs >= 10, "unblockIntervalMs: must be 10 or more")
        require(drainTimeoutMs >= 0, "drainTimeoutMs: must not be negative")
        if case .debezium(let layout) = layout {
            problems += layout.validate()
            require(
                retention == .delete,
                "retention: rows of the Debezium layout have no published_at, so only delete works")
        } else {
            require(Topic.isLegal("a" + topicSuffix), "topicSuffix: gives a topic name that Kafka does not allow")
        }
        return problems
    }
}

/// The table of Debezium's outbox event router, with its default names. The relay publishes the rows like Debezium,
/// unless ``envelope`` is set.
///
/// The table's `id` is a UUID, which has no order. Therefore add a position column once, with `SELECT
/// millrace_adopt_outbox('outboxevent')`, a function of migration set `outbox-debezium`. Services insert rows as
/// before.
///
/// Source of the format: Debezium's documentation, "Outbox Event Router", release 2.7.
public struct DebeziumLayout: Sendable, Hashable {
    /// The column with the event's id: a `uuid`, or another type that can be converted to text. In an envelope, an id
    /// that is not a UUID is hashed to one, together with the table and the aggregate.
    public var id = "id"
    public var aggregateType = "aggregatetype"
    /// The record's key.
    public var aggregateID = "aggregateid"
    public var type = "type"
    /// The column with the record's value, which is published unchanged: `json`, `jsonb`, `text` or `bytea`. NULL is a
    /// tombstone.
    public var payload = "payload"
    /// The column that orders the rows: a unique `bigint` from a sequence.
    public var position = "millrace_position"
    /// The topic's name. `${routedByValue}` stands for the aggregate type.
    public var topic = "outbox.event.${routedByValue}"
    /// Additional columns to publish as headers: the header's name for each column. NULL becomes a header without a
    /// value.
    public var headerColumns: [String: String] = [:]
    /// Publishes Millrace's envelope instead, which its projections need. ``sequence`` and ``timestamp`` must then name
    /// columns.
    public var envelope = false
    /// The column with the event's sequence number within its aggregate: an integer, or its text.
    public var sequence: String?
    /// The column with the event's time, which is also the record's time: `timestamptz`, `timestamp` (read as UTC), ISO
    /// 8601 text, or an integer of milliseconds since 1970.
    public var timestamp: String?
    /// The column with the schema version; nil for version 1.
    public var version: String?
    public var correlationID: String?
    public var causationID: String?
    public var metadata: String?

    public init() {}

    func validate() -> [String] {
        var problems: [String] = []
        for (name, value) in [
            ("id", id), ("aggregateType", aggregateType), ("aggregateID", aggregateID), ("type", type),
            ("payload", payload), ("position", position),
        ] where value.isEmpty {
            problems.append("debezium.\(name): must not be empty")
        }
        if !Topic.isLegal(TopicRule(template: topic).name(for: "a")) {
            problems.append("debezium.topic: gives a topic name that Kafka does not allow")
        }
        let own = RelayHeaders.own(as: envelope ? .envelope : .payload)
        for (column, header) in headerColumns.sorted(by: { $0.key < $1.key }) {
            if header.isEmpty || header.utf8.contains(0) {
                problems.append("debezium.headerColumns: column \(column) needs the name of a header")
            } else if RelayHeaders.isReserved(header, own) {
                problems.append("debezium.headerColumns: the relay writes the header \(header) itself")
            }
        }
        if envelope && (sequence == nil || timestamp == nil) {
            problems.append("debezium.envelope: requires the columns `sequence` and `timestamp`")
        }
        return problems
    }
}
