internal import StreamCore

/// The position of one projection, according to its offsets in the database.
struct ProjectionReading: Sendable {
    let name: String
    let version: Int32
    /// The next offset to apply of each partition.
    var next: [TopicPartition: Int64] = [:]
    /// The time of its last commit.
    var committedAt: Timestamp?

    var id: ProjectionID { ProjectionID(name: name, version: version) }
}

struct ProjectionID: Hashable, Sendable {
    let name: String
    let version: Int32
}

/// The end offsets of partitions at one time. Every record that was in Kafka before that time has a lower offset.
struct EndReading: Sendable {
    let at: Timestamp
    let ends: [TopicPartition: Int64]
}

/// The outbox of the same database.
struct OutboxReading: Sendable {
    /// Number of rows that Kafka has not acknowledged, counted up to a limit.
    var backlog: Int64
    var backlogIsAtLeast: Bool
    var oldest: Timestamp?
    /// Number of rows that can never be published unchanged.
    var failed: Int64
}

/// The open dead letters of the same database.
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
    /// The groups, with the most recently seen one first.
    var groups: [Group]
}
