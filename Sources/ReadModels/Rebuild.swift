public import Kafka
public import Postgres
public import StreamCore

/// The steps of a rebuild. Each step is one transaction, so a crash leaves the state before or after the step. A step
/// that is repeated finds out what is left to do. ``RebuildPolicy`` decides which steps are allowed.
public struct Rebuild: Sendable {
    public let model: ReadModel
    private let postgres: PostgresConfiguration

    /// - Parameter postgres: the database. The user must be allowed to create and drop schemas, and to change the
    ///   views.
    public init(_ model: ReadModel, _ postgres: PostgresConfiguration) {
        self.model = model
        self.postgres = postgres
    }

    // MARK: start

    /// The records that a rebuild reads.
    public struct Reading: Sendable {
        public var topics: [String]
        public var start = RebuildStart.beginning
        /// Whether to continue a rebuild that was started before, because no start was specified.
        public var isPlain = true
        /// Maximum number of records per second; nil for no limit.
        public var recordsPerSecond: Int?
        /// The first part of the consumer group's name. It is used if no version has a group yet.
        public var service = "millrace"

        public init(topics: [String]) {
            self.topics = topics
        }
    }

    /// Creates the next version, or finds the one that is being built.
    ///
    /// - Throws: ``RebuildRefusal``, `KafkaError`, `PostgresError`, `TransactionError`.
    public func start(_ reading: Reading, kafka: KafkaClientConfiguration) async throws -> ModelVersion {
        let ranges = try await withConnection { connection in
            let policy = RebuildPolicy(model, try await VersionTable.versions(of: model.name, on: connection))
            if case .resume = try policy.start(isPlain: reading.isPlain) { return nil as Ranges? }
            return try await self.ranges(reading, kafka)
        }
        return try await locked { transaction, versions in
            let policy = RebuildPolicy(model, versions)
            switch try policy.start(isPlain: reading.isPlain) {
            case .resume(var version):
                try await model.tables.compare(version, in: transaction)
                version.recordsPerSecond = reading.recordsPerSecond
                try await transaction.execute(VersionTable.setRate, rate(version))
                return version
            case .create(let number):
                guard let ranges else {
                    throw RebuildRefusal(
                        .notBuilding, "the version that was being built no longer exists: start the rebuild again")
                }
                return try await create(number, reading, ranges, over: policy.live, in: transaction)
            }
        }
    }

    /// The offsets at which a version began to read its partitions.
    ///
    /// - Throws: ``RebuildRefusal`` if Kafka no longer has the beginning; `KafkaError`, `PostgresError`.
    public func starts(
        of version: ModelVersion, _ reading: Reading, kafka: KafkaClientConfiguration
    ) async throws -> [TopicPartition: Int64] {
        let own = try await withConnection { try await progress(of: version, on: $0) }
        var reading = reading
        if !own.partitions.isEmpty, reading.start == .beginning {
            reading.start = .offsets(
                Dictionary(own.partitions.map { ($0.partition, $0.start) }) { first, _ in first })
        }
        return try await ranges(reading, kafka).mapValues(\.start)
    }

    private typealias Ranges = [TopicPartition: (start: Int64, end: Int64)]

    private func ranges(_ reading: Reading, _ kafka: KafkaClientConfiguration) async throws -> Ranges {
        let admin = try KafkaAdmin(kafka)
        let found = try await admin.partitions(of: reading.topics)
        if let absent = reading.topics.first(where: { found[$0]?.isEmpty ?? true }) {
            throw RebuildRefusal(.historyIsIncomplete, "Kafka has no topic \(absent)")
        }
        let partitions = found.values.flatMap(\.self)
        let watermarks = try await admin.watermarks(of: partitions)
        var timed: [TopicPartition: Int64] = [:]
        if case .time(let milliseconds) = reading.start {
            timed = try await admin.offsets(
                of: Dictionary(partitions.map { ($0, .time(milliseconds)) }) { first, _ in first })
        }
        let starts = try reading.start.offsets(in: watermarks, timed: timed)
        return watermarks.reduce(into: [:]) { ranges, entry in
            ranges[entry.key] = (starts[entry.key] ?? 0, entry.value.high)
        }
    }

    private func create(
        _ number: Int, _ reading: Reading, _ ranges: Ranges, over live: ModelVersion?,
        in transaction: PostgresTransaction
    ) async throws -> ModelVersion {
        let schema = try await model.tables.make(number, in: transaction)
        if let live {
            try await transaction.execute(
                "SELECT millrace_copy_rights($1, $2)",
                Parameters {
                    $0.append(live.schema)
                    $0.append(schema)
                })
        }
        try await transaction.execute(
            VersionTable.insert,
            Parameters {
                $0.append(model.name)
                $0.append(Int32(number))
                $0.append(schema)
                $0.append(Int32(model.structure ?? number))
                $0.append(reading.recordsPerSecond.map { Int32(clamping: $0) })
            })
        try await register(number, reading.service, in: transaction)
        try await transaction.execute(VersionTable.insertRanges, parameters(ranges, number))
        try await transaction.execute(VersionTable.insertOffsets, key(number))
        let versions = try await VersionTable.versions(of: model.name, in: transaction)
        guard let made = versions.first(where: { $0.version == number }) else {
            throw PostgresError(.usage, "the version's row was deleted immediately after it was created")
        }
        return made
    }

    private func register(_ number: Int, _ service: String, in transaction: PostgresTransaction) async throws {
        try await forget(number, in: transaction)
        let found = try await transaction.execute(VersionTable.group, key(number))
        let group = found.rowCount > 0 ? try found.string(0, 0) : "\(service).\(model.name).v\(number)"
        try await transaction.execute(
            VersionTable.insertProjection,
            Parameters {
                $0.append(model.name)
                $0.append(Int32(number))
                $0.append(group)
            })
    }

    private func parameters(_ ranges: Ranges, _ number: Int) -> Parameters {
        var topics = TextArray()
        var partitions = Int32Array()
        var starts = Int64Array()
        var ends = Int64Array()
        for (partition, range) in ranges {
            topics.append(partition.topic)
            partitions.append(partition.partition)
            starts.append(range.start)
            ends.append(range.end)
        }
        return Parameters {
            $0.append(model.name)
            $0.append(Int32(number))
            $0.append(topics)
            $0.append(partitions)
            $0.append(starts)
            $0.append(ends)
        }
    }

    // MARK: looking

    /// Reads the versions of the read model.
    public func policy() async throws -> RebuildPolicy {
        try await withConnection {
            RebuildPolicy(model, try await VersionTable.versions(of: model.name, on: $0))
        }
    }

    /// The progress of a version, also compared with the live one.
    public func progress(of version: ModelVersion, on connection: PostgresConnection) async throws -> RebuildProgress {
        let versions = try await VersionTable.versions(of: model.name, on: connection)
        let rows = try await connection.execute(VersionTable.progress, key(version.version))
        let partitions = try (0..<rows.rowCount).map { row in
            RebuildProgress.Partition(
                partition: TopicPartition(topic: try rows.string(row, 0), partition: try rows.int32(row, 1)),
                start: try rows.int64(row, 2), next: try rows.int64(row, 3), end: try rows.int64(row, 4))
        }
        var behind: Int64 = 0
        if let live = RebuildPolicy(model, versions).live {
            behind = try await connection.execute(VersionTable.behind, pair(live, version)).int64(0, 0)
        }
        return RebuildProgress(partitions: partitions, behindLive: behind)
    }

    /// The first part of the name of a version's consumer group.
    public func service(of version: ModelVersion) async throws -> String {
        let group = try await withConnection { connection in
            try await connection.execute(
                "SELECT consumer_group FROM projections WHERE name = $1 AND version = $2", key(version.version)
            ).string(0, 0)
        }
        return String(group.dropLast(".\(version.name).v\(version.version)".count))
    }

    /// Records that a verification found no difference in a version.
    public func noteVerified(_ version: ModelVersion) async throws {
        _ = try await withConnection { connection in
            try await connection.execute(VersionTable.setVerified, key(version.version))
        }
    }

    // MARK: abort and retire

    /// Drops the version that is being built.
    public func abort() async throws -> ModelVersion {
        try await locked { transaction, versions in
            let version = try RebuildPolicy(model, versions).abortion()
            try await drop(version, in: transaction)
            return version
        }
    }

    /// Drops the versions that were replaced by another one.
    public func retire() async throws -> [ModelVersion] {
        try await locked { transaction, versions in
            let superseded = try RebuildPolicy(model, versions).retirement()
            for version in superseded { try await drop(version, in: transaction) }
            return superseded
        }
    }

    /// Closes the dead letters of a version that no process updates any more, because nothing will retry them.
    func closeLetters(of version: ModelVersion, in transaction: PostgresTransaction) async throws {
        guard try await transaction.execute(VersionTable.hasLetters).bool(0, 0) else { return }
        try await transaction.execute(VersionTable.closeLetters, key(version.version))
    }

    private func drop(_ version: ModelVersion, in transaction: PostgresTransaction) async throws {
        try await closeLetters(of: version, in: transaction)
        try await forget(version.version, in: transaction)
        try await model.tables.drop(version, in: transaction)
        try await transaction.execute(VersionTable.delete, key(version.version))
    }

    /// Deletes the offsets, the parked events and the processed events of a version.
    private func forget(_ number: Int, in transaction: PostgresTransaction) async throws {
        let forgotten = try await transaction.execute(VersionTable.forgetProjection, key(number))
        for row in 0..<forgotten.rowCount {
            let id = try forgotten.int32(row, 0)
            let tables = try await transaction.execute(
                """
                SELECT c.oid::regclass::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'processed_events'::regclass AND c.relname = 'processed_events_' || $1::text
                """, Parameters { $0.append(String(id)) })
            for table in 0..<tables.rowCount {
                try await transaction.execute(script: "DROP TABLE \(try tables.string(table, 0))")
            }
        }
    }

    // MARK: the database

    func key(_ number: Int) -> Parameters {
        Parameters {
            $0.append(model.name)
            $0.append(Int32(number))
        }
    }

    func pair(_ live: ModelVersion, _ version: ModelVersion) -> Parameters {
        Parameters {
            $0.append(model.name)
            $0.append(Int32(live.version))
            $0.append(Int32(version.version))
        }
    }

    private func rate(_ version: ModelVersion) -> Parameters {
        Parameters {
            $0.append(model.name)
            $0.append(Int32(version.version))
            $0.append(version.recordsPerSecond.map { Int32(clamping: $0) })
        }
    }

    /// Runs a step in a transaction. No other step of this read model runs at the same time.
    func locked<Result: Sendable>(
        _ body: (PostgresTransaction, [ModelVersion]) async throws -> Result
    ) async throws -> Result {
        try await withConnection { connection in
            try await connection.withTransaction { transaction in
                try await transaction.execute(VersionTable.lock, Parameters { $0.append(model.name) })
                return try await body(transaction, try await VersionTable.versions(of: model.name, in: transaction))
            }
        }
    }

    /// Runs `body` with a connection whose statements may take long. Dropping large tables does.
    public func withConnection<Result: Sendable>(
        _ body: (PostgresConnection) async throws -> Result
    ) async throws -> Result {
        var patient = postgres
        patient.statementTimeoutMs = 600_000
        return try await PostgresConnection.with(patient, body)
    }
}
