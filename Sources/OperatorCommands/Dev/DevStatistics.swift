internal import Catalog
internal import Kafka
internal import Postgres
internal import SQLProjections
internal import StreamCore

/// Where all of a session's events are at one moment.
struct DevSnapshot: Equatable {
    /// Rows of the outbox that Kafka has not acknowledged.
    var backlog: Int64 = 0
    /// Events that Kafka has ever got, over all partitions.
    var published: Int64 = 0
    /// Events that all projections have passed, over all partitions.
    var projected: Int64 = 0
    /// Events in Kafka that some projection has not passed.
    var lag: Int64 = 0
}

/// Asks the database and Kafka where all events are. Opens its connections again when they break.
struct DevStatistics {
    private let database: PostgresConfiguration
    private let kafka: KafkaAdmin
    /// Whether the outbox keeps published rows until the projections have them, for a cluster that forgets.
    private let prunesOutbox: Bool
    /// The projections in SQL that run too.
    private let folders: [ProjectionFolder]
    private var connection: PostgresConnection?
    private var partitions: [TopicPartition] = []
    /// When the partitions were asked for: some may be added later.
    private var partitionsAskedFor = ContinuousClock.now
    private var milestone: Milestone?

    /// What Kafka had at an instant: all that was published before it lies below these ends.
    private struct Milestone {
        let instant: Timestamp
        let ends: [TopicPartition: Int64]
    }

    init(
        database: PostgresConfiguration, kafka: KafkaClientConfiguration, folders: [ProjectionFolder],
        prunesOutbox: Bool
    ) throws {
        self.folders = folders
        self.database = database
        self.kafka = try KafkaAdmin(kafka, timeoutMs: 2_000)
        self.prunesOutbox = prunesOutbox
    }

    mutating func snapshot() async throws -> DevSnapshot {
        let connection = try await open()
        do {
            return try await read(connection)
        } catch {
            await connection.close()
            self.connection = nil
            throw error
        }
    }

    private mutating func read(_ connection: PostgresConnection) async throws -> DevSnapshot {
        let before = try await connection.execute("SELECT clock_timestamp()").timestamp(0, 0)
        if partitions.isEmpty || ContinuousClock.now - partitionsAskedFor > .seconds(5) {
            partitionsAskedFor = .now
            partitions = try await kafka.partitions(of: topics).values.flatMap { $0 }
        }
        let watermarks = try await kafka.watermarks(of: partitions)
        var snapshot = DevSnapshot()
        snapshot.backlog = try await connection.execute(
            "SELECT count(*) FROM (SELECT FROM outbox WHERE published_at IS NULL LIMIT 1000000) AS o"
        ).int64(0, 0)
        let offsets = try await nextOffsets(connection)
        for (partition, watermark) in watermarks {
            let next = min(max(offsets[partition] ?? 0, watermark.low), watermark.high)
            snapshot.published += watermark.high
            snapshot.projected += offsets[partition] ?? 0
            snapshot.lag += watermark.high - next
        }
        if prunesOutbox {
            try await prune(offsets, connection)
            if milestone == nil { milestone = Milestone(instant: before, ends: watermarks.mapValues(\.high)) }
        }
        return snapshot
    }

    /// Where the slowest projection is in each partition; absent where one of them has not been yet.
    private func nextOffsets(_ connection: PostgresConnection) async throws -> [TopicPartition: Int64] {
        let rows = try await connection.execute(
            """
            SELECT o.topic, o.partition, p.name, max(o.next_offset)
            FROM projection_offsets AS o JOIN projections AS p ON p.id = o.projection_id
            GROUP BY o.topic, o.partition, p.name
            """)
        var reached: [TopicPartition: [String: Int64]] = [:]
        for row in 0..<rows.rowCount {
            let partition = TopicPartition(topic: try rows.string(row, 0), partition: try rows.int32(row, 1))
            reached[partition, default: [:]][try rows.string(row, 2)] = try rows.int64(row, 3)
        }
        var offsets: [TopicPartition: Int64] = [:]
        for (partition, offsetByName) in reached {
            let own = readers(of: partition.topic).map { offsetByName[$0] }
            if !own.contains(nil) { offsets[partition] = own.compactMap(\.self).min() }
        }
        return offsets
    }

    /// The projections that read a topic.
    private func readers(of topic: String) -> [String] {
        (Catalog.eventTopics.contains(topic) ? Catalog.projections : [])
            + folders.filter { $0.topics.contains(topic) }.map(\.name)
    }

    private var topics: [String] {
        folders.flatMap(\.topics).reduce(into: Catalog.eventTopics) { if !$0.contains($1) { $0.append($1) } }
    }

    /// Deletes the rows of the outbox that were published before the milestone, once all projections have passed it. A
    /// parked event was passed and not applied: while there is one, all rows are kept.
    private mutating func prune(_ offsets: [TopicPartition: Int64], _ connection: PostgresConnection) async throws {
        guard let passed = milestone, passed.ends.allSatisfy({ offsets[$0] ?? 0 >= $1 }) else { return }
        var parameters = Parameters()
        parameters.append(passed.instant)
        try await connection.execute(
            """
            DELETE FROM outbox WHERE published_at < $1
                AND NOT EXISTS (SELECT FROM parked_events WHERE reason <> 'discarded')
            """, parameters)
        milestone = nil
    }

    private mutating func open() async throws -> PostgresConnection {
        if let connection { return connection }
        let opened = try await PostgresConnection.connect(database)
        connection = opened
        return opened
    }

    func close() async {
        await connection?.close()
    }
}
