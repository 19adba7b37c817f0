internal import Catalog
internal import Kafka
internal import Postgres
internal import SQLProjections
internal import StreamCore

/// The numbers of a session's events at one moment.
struct DevSnapshot: Equatable {
    /// The number of outbox rows that Kafka has not acknowledged.
    var backlog: Int64 = 0
    /// The number of events that Kafka has ever received in all partitions.
    var published: Int64 = 0
    /// The number of events that all projections have passed in all partitions.
    var projected: Int64 = 0
    /// The number of events in Kafka that at least one projection has not passed.
    var lag: Int64 = 0
}

/// Reads the numbers from the database and Kafka. It opens its connections again after errors.
struct DevStatistics {
    private let database: PostgresConfiguration
    private let kafka: KafkaAdmin
    /// Whether the outbox keeps published rows until the projections have read their events, because the cluster
    /// deletes old records.
    private let prunesOutbox: Bool
    /// The SQL projections that run too.
    private let folders: [ProjectionFolder]
    private var connection: PostgresConnection?
    private var partitions: [TopicPartition] = []
    /// The time of the last query for partitions, because partitions may be added later.
    private var partitionsAskedFor = ContinuousClock.now
    private var milestone: Milestone?

    /// The ends of the partitions at one time. All events that were published before are below these ends.
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

    /// The offset of the slowest projection in each partition. Partitions that a projection has not reached yet are
    /// left out.
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

    /// Deletes outbox rows that were published before the milestone, after all projections have passed it. A parked
    /// event was passed but not applied, so all rows are kept while one exists.
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
