/// What a relay publishes, and how. The defaults suit a service that commits from none to some tens of thousands of
/// events a second.
public struct OutboxRelayConfiguration: Sendable, Hashable {
    /// What becomes of a row once Kafka has acknowledged it.
    public enum Retention: String, Sendable, Hashable, CaseIterable {
        /// It is deleted.
        case delete
        /// Sets `published_at`. Another program prunes the rows. It requires the index of migration set `outbox-keep`.
        case keep
    }

    /// How the outbox table is laid out.
    public enum Layout: Sendable, Hashable {
        /// Millrace's own, by migration set `outbox`.
        case millrace
        /// That of Debezium's outbox event router, plus a position column; see ``DebeziumLayout``.
        case debezium(DebeziumLayout)
    }

    /// The outbox table, in the session's schema.
    public var table = "outbox"
    /// Where rows go that can never be published.
    public var failedTable = "outbox_failed"
    /// What operators did with those rows, and why: beside them.
    var historyTable: String { failedTable + "_history" }
    public var layout = Layout.millrace
    public var retention = Retention.delete
    /// The topic of an event is its aggregate type in lower case and this suffix, unless the row names a topic.
    /// The Debezium layout has a template of its own.
    public var topicSuffix = "-events"

    /// Into how many shards the keys are divided. Each has one active relay at a time, any process may hold any number
    /// of them. The same number for all relays of one table: stop them all to change it.
    public var shards = 1
    /// Milliseconds between two attempts of a standby to become the active relay of a shard, about.
    public var electionIntervalMs = 1_000
    /// Milliseconds after which an active relay that had no answer on its lock's connection asks before it publishes.
    public var leaseCheckMs = 2_000

    /// Rows read at once, at most.
    public var pageRows = 1_000
    /// Bytes read at once, about; fewer rows are asked for when they are large.
    public var pageBytes = 1 << 20
    /// Rows in flight to Kafka, at most. They are what a crash may publish twice.
    public var maxInFlightRows = 4_000
    /// Bytes of keys and values in flight to Kafka, at most. More than a processor's cache holds costs time.
    public var maxInFlightBytes = 3 << 20
    /// Rows removed by one statement, at most.
    public var removalRows = 2_000

    /// Milliseconds between two looks at the outbox while rows come.
    public var busyPollMs = 1
    /// Milliseconds between two looks while none come, at most: what the first event after a pause waits.
    public var idlePollMs = 20
    /// Listen for NOTIFY on this channel and look at once when it comes. Off by default: a NOTIFY takes a lock at
    /// commit that all writers of the database share.
    public var notifyChannel: String?
    /// Milliseconds between two passes over the whole outbox, at least.
    public var sweepIntervalMs = 10_000
    /// Milliseconds between two looks whether an operator has freed a key, while any is blocked.
    public var unblockIntervalMs = 2_000
    /// Milliseconds that a graceful stop waits for acknowledgements; what has none by then is published again later.
    public var drainTimeoutMs = 10_000

    public init() {}

    /// All that is wrong with it; empty when nothing is.
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

/// The table of Debezium's outbox event router, with its default names, and how its rows are published: as Debezium
/// publishes them, unless ``envelope`` is set.
///
/// The table's `id` is a UUID, which has no order, so a position column is added once:
/// `SELECT millrace_adopt_outbox('outboxevent')`, a function of migration set `outbox-debezium`. Services go on
/// inserting as before.
///
/// Source of the form: Debezium's documentation, "Outbox Event Router", release 2.7.
public struct DebeziumLayout: Sendable, Hashable {
    /// The event's identity: a `uuid`, or anything else that has a text. An envelope's id is a UUID: one that is none
    /// is hashed to one, together with the table and the aggregate.
    public var id = "id"
    public var aggregateType = "aggregatetype"
    /// The record's key.
    public var aggregateID = "aggregateid"
    public var type = "type"
    /// The record's value, verbatim: `json`, `jsonb`, `text` or `bytea`. NULL is a tombstone.
    public var payload = "payload"
    /// The order of publishing; of type `bigint`, unique, drawn from a sequence.
    public var position = "millrace_position"
    /// The topic's name; `${routedByValue}` stands for the aggregate type.
    public var topic = "outbox.event.${routedByValue}"
    /// More columns to publish as headers: the header's name by the column's. NULL is a header without a value.
    public var headerColumns: [String: String] = [:]
    /// Publish Millrace's envelope instead, as its projections need it. Then ``sequence`` and ``timestamp`` must name
    /// columns.
    public var envelope = false
    /// The column with the event's number within its aggregate: an integer, or its text.
    public var sequence: String?
    /// The column with the event's time, which becomes the record's, too: `timestamptz`, `timestamp` (read as UTC),
    /// ISO 8601 text, or an integer of milliseconds since 1970.
    public var timestamp: String?
    /// The column with the schema version; version 1 without one.
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
