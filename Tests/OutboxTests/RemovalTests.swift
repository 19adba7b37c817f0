import EmbeddedPostgres
import Foundation
import Kafka
import Migrations
import Outbox
import Postgres
import TestKit
import Testing

/// Servers and tables that allow the relay to read rows but not to remove them.
@Suite struct RemovalTests {
    /// The relay continues to publish. It publishes a row that it cannot remove only once, reports it, and removes it
    /// when the server allows it.
    @Test(arguments: ["RETURN NULL;", "RAISE 'not allowed';", "RAISE foreign_key_violation;"])
    func rowsThatTheServerKeepsArePublishedOnceAndTold(_ refusal: String) async throws {
        try await RelayScene.run { scene in
            try await scene.service.connection.execute(
                script: """
                    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \(refusal) END $$;
                    CREATE TRIGGER refuse BEFORE DELETE ON outbox FOR EACH ROW WHEN (old.aggregate_id = 'kept')
                        EXECUTE FUNCTION refuse()
                    """)
            try await scene.service.commit(scene.topic, "a", 1...50)
            try await scene.service.commit(scene.topic, "kept", 1...3)
            try await scene.service.commit(scene.topic, "a", 51...100)
            let told = Told()
            try await withRelay(quickConfiguration(), scene.postgres, scene.kafka, onProgress: { told.append($0) }) {
                try await eventually { told.all.last?.unremovedRows == 3 }
                #expect(told.all.last?.trouble?.contains("3 published rows cannot be removed") == true)
                #expect(told.all.last?.isActive == true)
                #expect(try await scene.service.count("aggregate_id = 'a'") == 0)
                for number in Int64(101)...110 {
                    try await scene.service.commit(scene.topic, "a", number...number)
                    try await scene.reader.readSequences(["a": number, "kept": 3])
                }
                try await scene.service.connection.execute(script: "DROP TRIGGER refuse ON outbox")
                try await eventually { try await scene.service.count() == 0 }
                try await eventually { told.all.last.map { $0.unremovedRows == 0 && $0.trouble == nil } ?? false }
            }
            #expect(await scene.reader.records.count == 113, "nothing twice")
        }
    }

    /// The server accepts reading sessions and refuses writes, like a managed server whose disk is full.
    @Test func aServerThatTurnsReadOnlyIsLeftAlone() async throws {
        try await TestDatabase.withPrivateServer { _, postgres in
            try await Migrator(postgres).up(["outbox"])
            try await TestKafka.withTopics { topics in
                let kafka = try TestKafka.clientConfiguration()
                var writing = postgres
                writing.settings["default_transaction_read_only"] = "off"
                writing.access = .any
                let service = try await Service(writing)
                let reader = try await Reader(kafka, topics, partitions: 1)
                let told = Told()
                try await withRelay(quickConfiguration(), postgres, kafka, onProgress: { told.append($0) }) {
                    try await service.commit(topics[0], "a", 1...5)
                    try await reader.readSequences(["a": 5])
                    try await turn(readOnly: true, service)
                    try await service.commit(topics[0], "a", 6...10)
                    try await eventually { told.all.suffix(5).allSatisfy { Self.isAway($0, "read-only") } }
                    try await turn(readOnly: false, service)
                    try await reader.readSequences(["a": 10])
                    try await eventually { try await service.count() == 0 }
                }
                // Each row is published at most twice: once before the relay notices the state, and once after it. It
                // is not published at each attempt.
                #expect(await reader.records.count <= 20)
                await reader.close()
            }
        }
    }

    private func turn(readOnly: Bool, _ service: Service) async throws {
        let value = readOnly ? "on" : "off"
        try await service.connection.execute(
            .unprepared("ALTER SYSTEM SET default_transaction_read_only = \(value)"))
        try await service.connection.execute(.unprepared("SELECT pg_reload_conf()"))
    }

    private static func isAway(_ progress: RelayProgress, _ reason: String) -> Bool {
        guard case .away(let text) = progress.standing else { return false }
        return text.contains(reason)
    }

    /// A standby grants advisory locks and shows all rows. Only the primary allows the relay to remove rows.
    @Test func theRelayLooksForThePrimaryAmongTheHosts() async throws {
        try await TestDatabase.withPrivateServer { primary, postgres in
            try await Migrator(postgres).up(["outbox"])
            try await withStandby(of: primary) { standby in
                try await TestKafka.withTopics { topics in
                    let kafka = try TestKafka.clientConfiguration()
                    let service = try await Service(postgres)
                    try await service.commit(topics[0], "a", 1...5)
                    let reader = try await Reader(kafka, topics, partitions: 1)
                    var alone = postgres
                    alone.host = standby.socketFolder
                    let told = Told()
                    try await withRelay(quickConfiguration(), alone, kafka, onProgress: { told.append($0) }) {
                        try await eventually { told.all.count { Self.isAway($0, "read-only") } >= 3 }
                    }
                    try await reader.poll()
                    #expect(await reader.records.isEmpty)
                    var both = postgres
                    both.host = "\(standby.socketFolder),\(primary.socketFolder)"
                    try await withRelay(quickConfiguration(), both, kafka) {
                        try await reader.readSequences(["a": 5])
                        try await eventually { try await service.count() == 0 }
                    }
                    #expect(await reader.records.count == 5)
                    await reader.close()
                }
            }
        }
    }

    /// Starts a standby on a copy of the primary's files. It stays in recovery.
    private func withStandby(of primary: PostgresServer, _ body: (PostgresServer) async throws -> Void) async throws {
        let folder = "/tmp/millrace-standby-" + String(UInt64.random(in: .min ... .max), radix: 36)
        let source = URL(filePath: primary.socketFolder).deletingLastPathComponent().path()
        await primary.stop(.fast, keepingData: true)
        let copy = Process()
        copy.executableURL = URL(filePath: "/bin/sh")
        copy.arguments = [
            "-c",
            """
            cp -a "$0" "$1" && rm -rf "$1/socket" "$1/log" && cp -a "$0/data/PG_VERSION" "$1/data/standby.signal"
            """,
            source, folder,
        ]
        try copy.run()
        copy.waitUntilExit()
        try #require(copy.terminationStatus == 0)
        try await primary.start()
        let standby = try await PostgresServer.start(
            PostgresServerConfiguration(
                folder: folder, settings: PostgresServerConfiguration.withoutDurability, isTemporary: true))
        let result: Result<Void, any Error>
        do { result = .success(try await body(standby)) } catch { result = .failure(error) }
        await standby.stop(.immediate)
        try result.get()
    }

    @Test func aRelayThatMayNotRemoveDoesNotStart() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            let service = try await Service(postgres)
            let role = "reader_\(postgres.schema)"
            try await service.connection.execute(
                script: """
                    CREATE ROLE \(role); GRANT USAGE ON SCHEMA \(postgres.schema) TO \(role);
                    GRANT SELECT ON outbox, outbox_failed, outbox_failed_history TO \(role)
                    """)
            var restricted = postgres
            restricted.settings["role"] = role
            let relay = OutboxRelay(
                configuration: quickConfiguration(), postgres: restricted, kafka: try TestKafka.clientConfiguration(),
                logger: testLogger)
            let error = try await #require(throws: OutboxRelayError.self) { try await relay.run() }
            #expect(error.description.contains("DELETE on outbox"))
            #expect(error.description.contains("INSERT on outbox_failed"))
            try await service.connection.execute(script: "DROP OWNED BY \(role); DROP ROLE \(role)")
        }
    }
}
