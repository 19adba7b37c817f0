import EmbeddedPostgres
import Foundation
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@Suite struct RestartTests {
    @Test func aSessionReconnectsAfterACrashAndSaysSoOnce() async throws {
        try await TestDatabase.withPrivateServer { server, configuration in
            let events = Mutex<[String]>([])
            let session = PostgresSession(
                configuration, backoff: Backoff(initial: .milliseconds(5), ceiling: .milliseconds(20)),
                onEvent: { event in
                    let name =
                        switch event {
                        case .connected: "connected"
                        case .lost: "lost"
                        case .cannotConnect: "cannot connect"
                        }
                    events.withLock { if $0.last != name { $0.append(name) } }
                })
            let statement: Statement = "SELECT 1"
            let before = try await session.connection()
            #expect(await session.isSame(before))
            try await before.execute(statement)
            await server.stop(.immediate, keepingData: true)
            async let reconnected = session.connection()
            try await server.start()
            try await reconnected.execute(statement)
            await session.close()
            let seen = events.withLock { $0 }
            #expect(seen.first == "connected" && seen.dropFirst().first == "lost" && seen.last == "connected")
        }
    }

    @Test func aSessionDoesNotWaitForWhatWaitingCannotMend() async throws {
        try await TestDatabase.withSchema { configuration in
            var wrong = configuration
            wrong.database = "no_such_database"
            let session = PostgresSession(wrong)
            let error = await #expect(throws: PostgresError.self) { try await session.connection() }
            #expect(error?.sqlState == SQLState("3D000"))
        }
    }
}

@Suite struct EmbeddedServerTests {
    @Test func aServerStartsAgainOnTheSameData() async throws {
        let folder = "/tmp/millrace-test-\(UUID().uuidString)-" + String(repeating: "long", count: 20)
        let configuration = PostgresServerConfiguration(
            folder: folder, settings: PostgresServerConfiguration.withoutDurability)
        let first = try await PostgresServer.start(configuration)
        #expect(first.socketFolder.utf8.count < 90)
        let connection = try await PostgresConnection.connect(try PostgresConfiguration(url: first.url))
        try await connection.execute(script: "CREATE TABLE t AS SELECT 7 AS a")
        await first.stop(.fast)
        #expect(await !connection.isAlive())
        let second = try await PostgresServer.start(configuration)
        let again = try await PostgresConnection.connect(try PostgresConfiguration(url: second.url))
        #expect(try await again.execute("SELECT a FROM t").int32(0, 0) == 7)
        await again.close()
        await second.stop(.immediate)
        try FileManager.default.removeItem(atPath: folder)
        try FileManager.default.removeItem(atPath: second.socketFolder)
    }

    @Test func aServerThatCannotStartSaysWhy() async throws {
        var configuration = PostgresServerConfiguration(
            folder: "/tmp/millrace-test-\(UUID().uuidString)", settings: ["no_such_setting": "1"], isTemporary: true)
        configuration.startTimeoutMs = 20_000
        let error = await #expect(throws: PostgresServerError.self) { try await PostgresServer.start(configuration) }
        #expect(error?.description.contains("no_such_setting") == true)
        #expect(!FileManager.default.fileExists(atPath: configuration.folder))
    }
}

extension PostgresSession {
    /// Whether the session returns this connection.
    func isSame(_ connection: PostgresConnection) async -> Bool {
        (try? await self.connection()) === connection
    }
}
