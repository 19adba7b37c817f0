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
    ///   - timeoutMs: the maximum time for each request to Kafka, in milliseconds.
    /// - Throws: `KafkaError` if the configuration is invalid.
    public init(
        _ connection: PostgresConnection?, _ kafka: KafkaClientConfiguration, groups: [String],
        programs: [String: String], sqlProgram: String? = nil, looksAtRetention: Bool = true, timeoutMs: Int32 = 5_000
    ) throws(KafkaError) {
        self.connection = connection
        self.kafka = kafka
        self.groups = groups
        self.programs = programs
        self.sqlProgram = sqlProgram
        self.looksAtRetention = looksAtRetention
        self.timeoutMs = timeoutMs
        admin = try KafkaAdmin(kafka, timeoutMs: timeoutMs)
    }

    /// Reads everything again.
    ///
    /// - Throws: `PostgresError`, `KafkaError`.
    public func read() async throws -> LagReading {
        let topics = try await admin.partitions()
        var partitions = Set(try await projectionPositions().values.flatMap(\.keys))
        let committed = try await groupPositions(topics)
        partitions.formUnion(committed.values.flatMap(\.keys))
        let names = Set(partitions.map(\.topic))
        let all = names.flatMap { topics[$0] ?? [] }
        // The ends are read first, so that what a consumer reads in the meantime does not count as lag.
        let ends = try await admin.endOffsets(of: all)
        let beginnings = try await admin.offsets(of: Dictionary(uniqueKeysWithValues: all.map { ($0, .beginning) }))
        var positions = try await projectionPositions()
        for consumer in positions.keys { addUnassigned(to: &positions[consumer, default: [:]], topics, beginnings) }
        positions.merge(committed) { own, _ in own }
        var reading = LagReading(atMs: Timestamp.now.microseconds / 1_000, positions: positions)
        reading.ends = ends
        reading.beginnings = beginnings
        reading.isRunning = try await running()
        reading.paused = try await paused()
        if looksAtRetention { reading.retentionMs = await retention(of: names) }
        try await addTimes(to: &reading)
        return reading
    }

    /// A partition that was never assigned has no offset, so all its records are unread.
    private func addUnassigned(
        to positions: inout [TopicPartition: LagReading.Position], _ topics: [String: [TopicPartition]],
        _ beginnings: [TopicPartition: Int64]
    ) {
        for topic in Set(positions.keys.map(\.topic)) {
            for partition in topics[topic] ?? [] where positions[partition] == nil {
                positions[partition] = LagReading.Position(next: beginnings[partition] ?? 0, movedAtMs: nil)
            }
        }
    }

    // MARK: positions

    private func projectionPositions() async throws -> [LagReading.Consumer: [TopicPartition: LagReading.Position]] {
        guard let connection else { return [:] }
        let rows = try await connection.execute(Self.offsets)
        var positions: [LagReading.Consumer: [TopicPartition: LagReading.Position]] = [:]
        for row in 0..<rows.rowCount {
            let consumer = LagReading.Consumer(
                name: try rows.string(row, 0), version: Int(try rows.int32(row, 1)))
            let partition = TopicPartition(topic: try rows.string(row, 2), partition: try rows.int32(row, 3))
            positions[consumer, default: [:]][partition] = LagReading.Position(
                next: try rows.int64(row, 4), movedAtMs: try rows.timestamp(row, 5).microseconds / 1_000)
        }
        return positions
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
        SELECT p.name, p.version, o.topic, o.partition, o.next_offset, o.updated_at
        FROM projections AS p JOIN projection_offsets AS o ON o.projection_id = p.id
        LEFT JOIN projection_versions AS v ON v.name = p.name AND v.version = p.version
        WHERE v.state IS DISTINCT FROM 'superseded'
        """

    private func paused() async throws -> Set<String> {
        guard let connection else { return [] }
        let rows = try await connection.execute("SELECT consumer FROM paused_consumers")
        return Set(try (0..<rows.rowCount).map { try rows.string($0, 0) })
    }

    /// The programs that are connected, as far as the database's user may see other connections.
    private func running() async throws -> [String: Bool] {
        guard let connection else { return [:] }
        let rows = try await connection.execute(Self.connected)
        var names: Set<String> = []
        for row in 0..<rows.rowCount { names.insert(try rows.string(row, 0)) }
        let seesAll = try await connection.execute(Self.seesAll).bool(0, 0)
        var running: [String: Bool] = [:]
        let inSQL = try await sqlProjections(connection)
        let all = programs.merging(inSQL.compactMap { name in sqlProgram.map { (name, $0) } }) { own, _ in own }
        for (consumer, program) in all {
            // A program that is not visible may be connected as another user.
            if names.contains(program) || seesAll { running[consumer] = names.contains(program) }
        }
        return running
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
    private static let seesAll: Statement = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"

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

    /// Reads the timestamp of the first unread record of each partition.
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
            let times = try await RecordTimes(kafka, timeout: .milliseconds(timeoutMs)).read(round)
            for (partition, offset) in round {
                wanted[partition]?.remove(offset)
                if wanted[partition]?.isEmpty ?? true { wanted[partition] = nil }
                guard let time = times[partition] else { continue }
                for (consumer, positions) in reading.positions {
                    guard let position = positions[partition],
                        max(position.next, reading.beginnings[partition] ?? 0) == offset
                    else { continue }
                    reading.positions[consumer]?[partition]?.oldestUnreadMs = time
                }
            }
        }
    }
}
