import EmbeddedPostgres
import Leadership
import Migrations
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Outbox

/// The server's answer to the question which transactions may still commit rows into the outbox.
@Suite struct LockHoldersTests {
    @Test func aHolderIsKnownToBeInProgressFromItsFirstRowOn() async throws {
        var settings = PostgresServerConfiguration.withoutDurability
        settings["max_prepared_transactions"] = "4"
        try await TestDatabase.withPrivateServer(settings: settings) { _, postgres in
            try await Migrator(postgres).up(["outbox"])
            let questions = try await questions(postgres)
            let service = try await Service(postgres)
            #expect(try await questions.lockHolders() == LockHolders())

            try await service.connection.execute(script: "BEGIN; LOCK TABLE outbox IN ROW EXCLUSIVE MODE")
            let name = try await service.connection.execute(
                .unprepared("SELECT virtualtransaction FROM pg_locks WHERE pid = pg_backend_pid() LIMIT 1")
            ).string(0, 0)
            #expect(
                try await questions.lockHolders() == LockHolders(running: [name]),
                "it may get a transaction id at any time")

            try await service.connection.execute(script: "SAVEPOINT first")
            try await service.commit("t", "a", 1...1)
            let numbered = LockHolders(running: [name], numbered: [name])
            #expect(try await questions.lockHolders() == numbered, "it has its own id and the savepoint has one")
            #expect(numbered.isQuiet(by: numbered))

            try await service.connection.execute(script: "PREPARE TRANSACTION 'p1'")
            let prepared = try await questions.lockHolders()
            #expect(prepared.running.isEmpty && prepared.prepared.count == 1)
            #expect(prepared.numbered == prepared.prepared)
            try await service.connection.execute(script: "COMMIT PREPARED 'p1'")
            #expect(try await questions.lockHolders() == LockHolders())
        }
    }

    private func questions(_ postgres: PostgresConfiguration) async throws -> OutboxQuestions {
        let configuration = quickConfiguration()
        let statements = OutboxStatements(configuration, layout: RowLayout(configuration), shard: 0)
        let connection = try await LockSession.connect(postgres)
        let lock = try #require(
            try await LockSession.tryLock(AdvisoryLockKey("lock holders"), on: connection))
        return OutboxQuestions(
            reader: try await PostgresConnection.connect(postgres),
            writer: await OutboxWriter(lock, statements), statements: statements)
    }
}
