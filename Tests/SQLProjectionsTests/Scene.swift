import Foundation
import Kafka
import Logging
import Postgres
import Projections
import ReadModels
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import SQLProjections

/// A topic, a schema for the runtime's tables, and a projection's folder with a name that no other test uses.
final class Scene: Sendable {
    let topic: String
    let postgres: PostgresConfiguration
    let kafka: KafkaClientConfiguration
    let name = "t" + String(UInt64.random(in: .min ... .max), radix: 36)
    private let producer: Producer
    private let ends = Mutex<[TopicPartition: Int64]>([:])

    private init(_ topic: String, _ postgres: PostgresConfiguration) throws {
        self.topic = topic
        self.postgres = postgres
        kafka = try TestKafka.clientConfiguration()
        producer = try Producer(kafka) { _ in }
    }

    /// - Parameters:
    ///   - topic: a name that no other test uses; nil for a generated name.
    ///   - further: migration sets in addition to those of projections.
    static func with(
        topic: String = TestKafka.uniqueName("topic"), migrating further: [String] = [],
        _ body: (Scene) async throws -> Void
    ) async throws {
        try await TestKafka.withTopics(named: [topic], partitions: 3) {
            try await TestDatabase.withSchema(migrating: ["projections", "sql-projections"] + further) { postgres in
                let scene = try Scene(topic, postgres)
                let result: Result<Void, any Error>
                do { result = .success(try await body(scene)) } catch { result = .failure(error) }
                try await scene.clean()
                try result.get()
            }
        }
    }

    /// Versions have schemas and roles of their own, outside the test's schema, so they are dropped here.
    private func clean() async throws {
        try await withConnection { connection in
            let found = try await connection.execute(
                .unprepared("SELECT schema_name FROM sql_projections WHERE name = $1"), Parameters { $0.append(name) })
            for row in 0..<found.rowCount {
                let schema = try found.string(row, 0)
                try await connection.execute(
                    script: "DROP SCHEMA \(schema) CASCADE; DROP ROLE IF EXISTS \(schema)")
            }
            try await connection.execute(
                script: "DROP SCHEMA IF EXISTS \(name) CASCADE; DROP SCHEMA IF EXISTS \(name)_live CASCADE")
        }
    }

    func withConnection<Result>(_ body: (PostgresConnection) async throws -> Result) async throws -> Result {
        let connection = try await PostgresConnection.connect(postgres)
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await body(connection)) } catch { result = .failure(error) }
        await connection.close()
        return try result.get()
    }

    // MARK: the folder

    /// - Parameters:
    ///   - files: the texts by file name.
    ///   - settings: further lines of `[projection]`, after its name and topics.
    ///   - envelope: lines of `[envelope]`.
    func folder(
        _ files: [String: String], settings: String = "", envelope: String = "", version: Int = 1
    ) throws -> (Folder, ProjectionFolder) {
        let toml = """
            [projection]
            name = "\(name)"
            version = \(version)
            topics = ["\(topic)"]
            \(settings)
            [envelope]
            \(envelope)
            """
        let place = try Folder(files.merging(["projection.toml": toml]) { given, _ in given })
        return (place, try ProjectionFolder(path: place.path))
    }

    /// Prepares the version.
    func version(_ folder: ProjectionFolder) async throws -> VersionSchema {
        let version = VersionSchema(folder, isIsolated: true)
        try await withConnection { try await version.prepare($0) }
        return version
    }

    func rebuild(_ folder: ProjectionFolder) -> Rebuild {
        Rebuild(VersionSchema(folder, isIsolated: true).readModel, postgres)
    }

    /// Starts building a version next to the live one.
    @discardableResult
    func build(_ folder: ProjectionFolder) async throws -> ModelVersion {
        var reading = Rebuild.Reading(topics: folder.topics)
        reading.service = "test"
        return try await rebuild(folder).start(reading, kafka: kafka)
    }

    // MARK: events

    /// An event in Millrace's own envelope.
    static func event(
        _ type: String, _ id: String, _ sequence: Int, _ payload: String, eventID: UUID = UUID()
    ) -> [UInt8] {
        Array(
            """
            {"eventId":"\(eventID.uuidString.lowercased())","eventType":"\(type)","aggregateId":"\(id)",\
            "aggregateType":"Account","sequence":\(sequence),"timestamp":"2026-05-01T10:00:00.5Z","version":1,\
            "correlationId":"c","metadata":{"source":"test"},"payload":\(payload)}
            """.utf8)
    }

    func produce(
        _ key: String, _ value: [UInt8]?, _ headers: [(String, String)] = [], to other: String? = nil
    ) async throws {
        let topic = other ?? topic
        let list = headers.map { RecordHeader(name: $0.0, value: Array($0.1.utf8)) }
        let report = try await producer.send(
            topic: topic, key: Array(key.utf8), value: value, headers: list)
        let partition = TopicPartition(topic: topic, partition: report.partition)
        ends.withLock { $0[partition] = max($0[partition] ?? 0, report.offset + 1) }
    }

    // MARK: running

    /// Runs the version until it has passed all produced records.
    func run(
        _ version: VersionSchema, statementTimeoutMs: Int? = nil,
        _ change: (inout ProjectionRunnerConfiguration) -> Void = { _ in }
    ) async throws {
        var configuration = ProjectionRunnerConfiguration(service: "test")
        configuration.batchMaxRecords = 50
        change(&configuration)
        try await running(version, configuration, statementTimeoutMs: statementTimeoutMs) {
            try await eventually { try await isCaughtUp(version.projection) }
        }
    }

    /// Runs the version's daemon while `body` runs.
    func running(
        _ version: VersionSchema, _ configuration: ProjectionRunnerConfiguration = .init(service: "test"),
        statementTimeoutMs: Int? = nil, _ body: () async throws -> Void
    ) async throws {
        var postgres = postgres
        if let statementTimeoutMs { postgres.statementTimeoutMs = statementTimeoutMs }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let runner = ProjectionRunner(
            projection: version.projection, configuration: configuration, postgres: postgres, kafka: kafka,
            logger: logger)
        let task = Task { try await runner.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        task.cancel()
        try await task.value
        try result.get()
    }

    private func isCaughtUp(_ projection: SQLProjection) async throws -> Bool {
        let status = try await withConnection { try await ProjectionStatus.load($0) }
            .entry(name: projection.name, version: projection.version)
        return ProjectionCatchUp(endOffsets: ends.withLock { $0 }).remaining(status).isEmpty
    }

    /// The first column of each row, as text.
    func column(_ sql: String) async throws -> [String] {
        try await withConnection { connection in
            let rows = try await connection.execute(.unprepared(sql))
            return try (0..<rows.rowCount).map { try rows.string($0, 0) }
        }
    }
}
