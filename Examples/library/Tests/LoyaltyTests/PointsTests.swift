import EmbeddedPostgres
import Events
import Kafka
import Loyalty
import Postgres
import StreamCore
import TestKit
import Testing

struct PointsTests {
    /// Runs the daemon as it is deployed, on an empty database. It migrates, applies each event once even if it arrives
    /// several times, and parks records that are not events.
    @Test func addsUpThePointsOfEachCard() async throws {
        let suffix = "-" + TestKafka.uniqueName("events")
        let topics = [LoyaltyEvent.Aggregate.card.topic(suffix: suffix), "dlq.loyalty-points", "retry.loyalty-points"]
        try await TestKafka.withTopics(named: topics, partitions: 2) {
            try await TestDatabase.withPrivateServer { server, postgres in
                let kafka = try TestKafka.clientConfiguration()
                func run(_ arguments: String...) throws -> Executable {
                    let settings = ["--set", "operations.port=0", "--set", "projection.topic_suffix=\(suffix)"]
                    let servers = ["DATABASE_URL": server.url, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrapServers]
                    return try Executable("points-projection", arguments + settings, environment: servers)
                }
                let migration = try run("--migrate")
                #expect(try await migration.exitCode() == 0, "\(migration.errors)")
                let events = [
                    event(.earned, 40, of: "ada", 1), event(.spent, 10, of: "ada", 2),
                    event(.earned, 5, of: "bob", 1), event(.earned, 0, of: "eve", 1),
                ]
                let producer = try Producer(kafka) { _ in }
                for event in events + events.dropLast() {
                    let key = Array(event.identity.aggregateID.utf8)
                    _ = try await producer.send(topic: topics[0], key: key, value: EventEncoder.envelope(event))
                }
                await producer.close(timeoutMs: 10_000)
                let daemon = try run()
                let connection = try await PostgresConnection.connect(postgres)
                func read(_ query: String) async throws -> String? {
                    try await connection.execute(.unprepared(query)).optionalString(0, 0)
                }
                try await eventually { try await read("SELECT sum(next_offset)::text FROM projection_offsets") == "7" }
                let points = "SELECT string_agg(card_id || '=' || points, ' ' ORDER BY card_id) FROM loyalty_points"
                #expect(try await read(points) == "ada=30 bob=5")
                #expect(try await read("SELECT string_agg(error_class, ' ') FROM parked_events") == "invalid_value")
                await connection.close()
                try await daemon.stop()
            }
        }
    }
}

private func event(_ type: LoyaltyEvent.Kind, _ points: Int64, of card: String, _ place: Int64) -> Event<LoyaltyEvent> {
    Event(
        LoyaltyEvent(type, points: points), of: card, sequence: place, at: Timestamp(microseconds: place),
        eventID: EventID(high: .random(in: 0...(.max)), low: .random(in: 0...(.max))))
}
