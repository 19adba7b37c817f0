import EmbeddedPostgres
import Kafka
import Migrations
import Outbox
import Postgres
import TestKit
import Testing

/// The database goes back to an earlier state while a relay runs.
@Suite struct TakenBackTests {
    /// Removed rows are there again, and new rows get ids that lost rows had. The relay remembers neither.
    @Test func rowsThatComeBackAndIdsThatAreGivenAgainArePublished() async throws {
        try await TestDatabase.withPrivateServer { server, postgres in
            try await Migrator(postgres).up(["outbox"])
            try await TestKafka.withTopics { topics in
                let kafka = try TestKafka.clientConfiguration()
                let reader = try await Reader(kafka, topics, partitions: 1)
                func commit(_ key: String) async throws {
                    try await Service(postgres).commit(topics[0], key, 1...50)
                }
                func isEmpty() async throws -> Bool { try await Service(postgres).count() == 0 }
                try await commit("back")
                let snapshot = try await ServerSnapshot.take(of: server)
                try await withRelay(quickConfiguration(), postgres, kafka) {
                    try await reader.readSequences(["back": 50])
                    try await commit("lost")
                    try await reader.readSequences(["lost": 50])
                    try await eventually { try await isEmpty() }
                    try await snapshot.restore(to: server)
                    try await commit("again")
                    try await reader.readSequences(["again": 50])
                    try await eventually { try await isEmpty() }
                    try await eventually {
                        try await reader.poll()
                        return await reader.records.count >= 200
                    }
                }
                let records = await reader.records
                let back = records.filter { $0.key == "back" }
                #expect(back.count == 100 && Set(back.map { $0.headers["event-id"] }).count == 50)
                #expect(records.filter { $0.key == "again" }.map(\.sequence) == Array(1...50))
                await reader.close()
            }
        }
    }
}
