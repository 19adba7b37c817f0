import Kafka
import Logging
import Postgres
import Projections
import StreamCore
import TestKit
import Testing

@testable import Dashboard

/// The projection in its runner: it reads from Kafka in two instances, with duplicates, rebalances and lost
/// connections.
@Suite struct RunnerTests {
    @Test(arguments: 0..<UInt64(2)) func theViewsAreWhatTheWriteModelSays(_ seed: UInt64) async throws {
        let suffix = "-" + TestKafka.uniqueName("events")
        let topics = ["order", "payment", "shipment"].map { $0 + suffix }
        try await TestKafka.withTopics(named: topics, partitions: 4) {
            try await TestDatabase.withSchema(migrating: Shop.sets) { database in
                let connection = try await PostgresConnection.connect(database)
                try await Shop.play(orders: 400, in: database, connection)
                var random = SplitMix64(seed: seed)
                let records = try await Shop.records(connection).shuffledWithDuplicates(using: &random)
                let half = records.count / 2
                try await produce(records[..<half], suffix)

                var database = database
                database.applicationName = "dashboard-test-\(seed)"
                let first = run(suffix, database)
                try await eventually { try await applied(connection) > 0 }
                let second = run(suffix, database)
                try await produce(records[half...], suffix)
                for _ in 0..<3 { try await loseConnections(of: database.applicationName, connection) }
                try await eventually { try await applied(connection) >= Int64(half) }
                // The partitions of the first instance move to the second.
                first.cancel()
                try await first.value
                try await eventually { try await applied(connection) == Int64(records.count) }
                second.cancel()
                try await second.value

                try await Shop.expectEqual(database)
                let remembered = try await connection.execute("SELECT count(*) FROM processed_events").int64(0, 0)
                #expect(remembered == 0)
                await connection.close()
            }
        }
    }

    private func run(_ suffix: String, _ database: PostgresConfiguration) -> Task<Void, any Error> {
        var configuration = ProjectionRunnerConfiguration(service: "test" + suffix)
        configuration.batchMaxRecords = 97
        configuration.backoffCeilingMs = 200
        let settings = configuration
        return Task {
            try await ProjectionRunner(
                projection: DashboardProjection(topicSuffix: suffix), configuration: settings, postgres: database,
                kafka: TestKafka.clientConfiguration(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            ).run()
        }
    }

    private func produce(_ records: ArraySlice<Shop.Record>, _ suffix: String) async throws {
        let producer = try Producer(TestKafka.clientConfiguration()) { _ in }
        for record in records {
            let key = Array(record.key.utf8)
            try producer.produce(
                topic: record.topic + suffix, key: key.span, value: record.value.span, headers: nil, tag: 0)
        }
        try await producer.flush(timeoutMs: 60_000)
        await producer.close(timeoutMs: 5_000)
    }

    /// Number of applied records, by PostgreSQL's offsets.
    private func applied(_ connection: PostgresConnection) async throws -> Int64 {
        try await connection.execute("SELECT coalesce(sum(next_offset), 0)::bigint FROM projection_offsets").int64(0, 0)
    }

    private func loseConnections(of application: String, _ connection: PostgresConnection) async throws {
        try await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
            Parameters { $0.append(application) })
    }
}
