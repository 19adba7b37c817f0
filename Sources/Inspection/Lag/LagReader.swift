public import Kafka
public import Postgres
internal import StreamCore

/// Reads the positions of consumers: those of projections from PostgreSQL, which are authoritative, and those of other
/// groups from Kafka.
public actor LagReader {
    private let connection: PostgresConnection?
    private let kafka: KafkaClientConfiguration
    private let admin: KafkaAdmin
    private let timeoutMs: Int32
    private let groups: [String]
    private let looksAtRetention: Bool
    private let patience: Duration
    /// The programs of consumers, by consumer. The database shows their connections under these names.
    private let programs: [String: String]
    /// The program of projections in SQL, whose names only the database knows.
    private let sqlProgram: String?
    private var retentionMs: [String: Int64] = [:]
    private var topicsAsked: Set<String> = []

    /// - Parameters:
    ///   - connection: the database with the projections' offsets; nil if only consumer groups are read.
    ///   - kafka: the Kafka cluster.
    ///   - groups: consumer groups whose offsets are in Kafka.
    ///   - programs: the program of each consumer.
    ///   - sqlProgram: the program of the projections in SQL that the database has.
    ///   - looksAtRetention: whether to read the retention of topics, which needs one request for each topic.
    ///   - patience: how long a reading waits until projections have read what was there when it began. A projection
    ///     that does so has no lag, and no record must be read to know the age of what it has not read.
    ///   - timeoutMs: the maximum time for each request to Kafka, in milliseconds.
    /// - Throws: `KafkaError` if the configuration is invalid.
    public init(
        _ connection: PostgresConnection?, _ kafka: KafkaClientConfiguration, groups: [String],
        programs: [String: String], sqlProgram: String? = nil, looksAtRetention: Bool = true,
        patience: Duration = .zero, timeoutMs: Int32 = 5_000
    ) throws(KafkaError) {
        self.connection = connection
        self.kafka = kafka
        self.groups = groups
        self.programs = programs
        self.sqlProgram = sqlProgram
        self.looksAtRetention = looksAtRetention
        self.patience = patience
        self.timeoutMs = timeoutMs
        admin = try KafkaAdmin(kafka, timeoutMs: timeoutMs)
    }

    /// Reads everything again.
    ///
    /// - Throws: `PostgresError`, `KafkaError`.
    public func read() async throws -> LagReading {
        let topics = try await admin.partitions()
        var partitions = Set(try await registered().flatMap(\.positions.keys))
        let committed = try await groupPositions(topics)
        partitions.formUnion(committed.values.flatMap(\.keys))
        let names = Set(partitions.map(\.topic))
        let all = names.flatMap { topics[$0] ?? [] }
        // The ends are read first, so that what a consumer reads in the meantime does not count as lag.
        let ends = try await admin.endOffsets(of: all)
        let beginnings = try await admin.offsets(of: Dictionary(uniqueKeysWithValues: all.map { ($0, .beginning) }))
        let projections = try await projections(whenTheyHaveRead: ends, topics, beginnings)
        var positions = committed
        for projection in projections { positions[projection.consumer] = projection.positions }
        var reading = LagReading(atMs: Timestamp.now.microseconds / 1_000, positions: positions)
        reading.building = Set(projections.filter(\.isBuilding).map(\.consumer))
        reading.ends = ends
        reading.beginnings = beginnings
        reading.isRunning = try await running()
        reading.paused = try await paused()
        if looksAtRetention { reading.retentionMs = await retention(of: names) }
        try await addTimes(to: &reading)
        return reading
    }

    // MARK: positions

    /// A version of a projection, and its positions.
    private struct Projection {
        let consumer: LagReading.Consumer
        let isBuilding: Bool
        let createdAtMs: Int64
        var positions: [TopicPartition: LagReading.Position] = [:]

        /// A partition that was never assigned has no offset, so all its records are unread.
        mutating func addUnassigned(
            _ topics: [String: [TopicPartition]], _ beginnings: [TopicPartition: Int64]
        ) {
            for topic in Set(positions.keys.map(\.topic)) {
                for partition in topics[topic] ?? [] where positions[partition] == nil {
                    positions[partition] = LagReading.Position(
                        next: beginnings[partition] ?? 0, movedAtMs: createdAtMs)
                }
            }
        }
    }

    /// Reads the positions again and again until nothing before the ends is unread, or the patience is over.
    private func projections(
        whenTheyHaveRead ends: [TopicPartition: Int64], _ topics: [String: [TopicPartition]],
        _ beginnings: [TopicPartition: Int64]
    ) async throws -> [Projection] {
        let deadline = ContinuousClock.now + patience
        while true {
            var projections = try await registered()
            for index in projections.indices { projections[index].addUnassigned(topics, beginnings) }
            let haveRead = projections.allSatisfy { projection in
                projection.positions.allSatisfy { $1.next >= ends[$0] ?? 0 }
            }
            if haveRead || ContinuousClock.now >= deadline { return projections }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// The projections that have an offset.
    private func registered() async throws -> [Projection] {
        guard let connection else { return [] }
        let rows = try await connection.execute(Self.offsets)
        var projections: [LagReading.Consumer: Projection] = [:]
        for row in 0..<rows.rowCount {
            let consumer = LagReading.Consumer(
                name: try rows.string(row, 0), version: Int(try rows.int32(row, 1)))
            var projection =
                try projections[consumer]
                ?? Projection(
                    consumer: consumer, isBuilding: rows.bool(row, 6),
                    createdAtMs: rows.timestamp(row, 7).microseconds / 1_000)
            let partition = TopicPartition(topic: try rows.string(row, 2), partition: try rows.int32(row, 3))
            projection.positions[partition] = LagReading.Position(
                next: try rows.int64(row, 4), movedAtMs: try rows.timestamp(row, 5).microseconds / 1_000)
            projections[consumer] = projection
        }
        return Array(projections.values)
    }

    private func groupPositions(
        _ topics: [String: [TopicPartition]]
    ) async throws -> [LagReading.Consumer: [TopicPartition: LagReading.Position]] {
        var positions: [LagReading.Consumer: [TopicPartition: LagReading.Position]] = [:]
        for group in groups {
            let committed = try await admin.committed(group: group, topics.values.flatMap(\.self))
            positions[LagReading.Consumer(name: group, version: nil)] = committed.mapValues {
                LagReading.Position(next: $0, movedAtMs: nil)
            }
        }
        return positions
    }

    /// Superseded versions are left out, because no process updates them.
    private static let offsets: Statement = """
        SELECT p.name, p.version, o.topic, o.partition, o.next_offset, o.updated_at,
            v.state IS NOT DISTINCT FROM 'building', p.created_at
        FROM projections AS p JOIN projection_offsets AS o ON o.projection_id = p.id
        LEFT JOIN projection_versions AS v ON v.name = p.name AND v.version = p.version
        WHERE v.state IS DISTINCT FROM 'superseded'
        """

    private func paused() async throws -> Set<String> {
        guard let connection else { return [] }
        let rows = try await connection.execute("SELECT consumer FROM paused_consumers")
        return Set(try (0..<rows.rowCount).map { try rows.string($0, 0) })
    }

    /// Whether the programs of consumers are connected. PostgreSQL shows the names of connections to every user.
    private func running() async throws -> [String: Bool] {
        guard let connection else { return [:] }
        let rows = try await connection.execute(Self.connected)
        var names: Set<String> = []
        for row in 0..<rows.rowCount { names.insert(try rows.string(row, 0)) }
        let inSQL = try await sqlProjections(connection)
        let all = programs.merging(inSQL.compactMap { name in sqlProgram.map { (name, $0) } }) { own, _ in own }
        return all.mapValues { names.contains($0) }
    }

    /// The projections in SQL that a daemon applies, and not commands in their own transactions.
    private func sqlProjections(_ connection: PostgresConnection) async throws -> Set<String> {
        func names(_ table: String) async throws -> Set<String> {
            let exists = try await connection.execute(
                "SELECT to_regclass($1) IS NOT NULL", Parameters { $0.append(table) })
            guard try exists.bool(0, 0) else { return [] }
            let rows = try await connection.execute(.unprepared("SELECT DISTINCT name FROM \(table)"))
            return Set(try (0..<rows.rowCount).map { try rows.string($0, 0) })
        }
        return try await names("sql_projections").subtracting(names("inline_projections"))
    }

    private static let connected: Statement = """
        SELECT DISTINCT application_name FROM pg_stat_activity
        WHERE datname = current_database() AND application_name IS NOT NULL
        """

    // MARK: Kafka

    /// The retention of topics, in milliseconds, as far as brokers report it. Each topic is asked for only once,
    /// because some brokers, such as the mock cluster, never answer.
    private func retention(of topics: Set<String>) async -> [String: Int64] {
        for topic in topics where topicsAsked.insert(topic).inserted {
            guard let text = try? await admin.setting("retention.ms", of: topic), let value = Int64(text), value >= 0
            else { continue }
            retentionMs[topic] = value
        }
        return retentionMs
    }

    /// Reads the first unread record of each partition.
    private func addTimes(to reading: inout LagReading) async throws {
        var wanted: [TopicPartition: Set<Int64>] = [:]
        for positions in reading.positions.values {
            for (partition, position) in positions {
                let next = max(position.next, reading.beginnings[partition] ?? 0)
                if let end = reading.ends[partition], next < end { wanted[partition, default: []].insert(next) }
            }
        }
        // Consumers of a partition may have different offsets, so each round reads one offset of each partition.
        while !wanted.isEmpty {
            let round = wanted.compactMapValues(\.first)
            let records = try await RecordTimes(kafka, timeout: .milliseconds(timeoutMs)).read(round)
            for (partition, offset) in round {
                wanted[partition]?.remove(offset)
                if wanted[partition]?.isEmpty ?? true { wanted[partition] = nil }
                guard let record = records[partition] else { continue }
                for (consumer, positions) in reading.positions {
                    guard let position = positions[partition],
                        max(position.next, reading.beginnings[partition] ?? 0) == offset
                    else { continue }
                    switch record {
                    case .timestamp(let time): reading.positions[consumer]?[partition]?.oldestUnreadMs = time
                    case .absent: reading.positions[consumer]?[partition]?.hasReadAll = true
                    }
                }
            }
        }
    }
}
