internal import StreamCore

/// How far one projection has got, as its offsets in the database say.
struct ProjectionReading: Sendable {
    let name: String
    let version: Int32
    /// The next offset to apply of each partition.
    var next: [TopicPartition: Int64] = [:]
    /// When it last committed anything.
    var committedAt: Timestamp?

    var id: ProjectionID { ProjectionID(name: name, version: version) }
}

struct ProjectionID: Hashable, Sendable {
    let name: String
    let version: Int32
}

/// Where the partitions ended at an instant: all that had reached Kafka before it lies below.
struct EndReading: Sendable {
    let at: Timestamp
    let ends: [TopicPartition: Int64]
}

/// The outbox of the same database.
struct OutboxReading: Sendable {
    /// Rows that Kafka has not acknowledged, counted to a limit.
    var backlog: Int64
    var backlogIsAtLeast: Bool
    var oldest: Timestamp?
    /// Rows that can never be published as they are.
    var failed: Int64
}

/// The dead letters of the same database that are not done with.
struct DeadLetterReading: Sendable {
    struct Group: Sendable {
        let consumer: String
        let errorClass: String
        let fingerprint: String
        let message: String
        let count: Int64
        let firstSeen: Timestamp
        let lastSeen: Timestamp
    }

    var open: Int64
    /// The ones seen last come first.
    var groups: [Group]
}
