import Kafka
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Inspection

/// Checks of the data that PostgreSQL and Kafka store.
@Suite struct DiskCheckTests {
    private func table(bytes: Int64, dead: Int64, live: Int64) -> DeadRowsCheck.Table {
        DeadRowsCheck.Table(name: "shop.outbox", bytes: bytes, dead: dead, live: live)
    }

    @Test func deadRowsAreJudgedByTheDiskThatTheyHold() {
        let many = DeadRowsCheck.findings([table(bytes: 4 << 30, dead: 3, live: 1), table(bytes: 8, dead: 1, live: 0)])
        #expect(many.map(\.severity) == [.warning])
        #expect(many[0].finding == "3072 of 4096 MiB of shop.outbox are dead rows")
        #expect(many[0].remedy?.hasSuffix("VACUUM shop.outbox") == true)
        #expect(DeadRowsCheck.findings([table(bytes: 4 << 30, dead: 1, live: 99)]).map(\.severity) == [.ok])
        #expect(DeadRowsCheck.findings([table(bytes: 4 << 30, dead: 0, live: 0)])[0].finding == "0 MiB in 1 tables")
    }

    /// The tables of a version have their own schema.
    @Test func allTablesAreLookedAt() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { postgres in
            let connection = try await PostgresConnection.connect(postgres)
            let scene = CheckScene(
                postgres: postgres, connection: connection, admin: nil, expected: Expectations())
            let own = try await connection.execute(
                "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = $1::text::regnamespace",
                Parameters { $0.append(postgres.schema) }
            ).int64(0, 0)
            let found = await Doctor.examine(scene, [DeadRowsCheck()])
            await connection.close()
            let count = try #require(found.first?.finding.split(separator: " ").dropLast().last.flatMap { Int64($0) })
            #expect(found.map(\.severity) == [.ok] && own > 0 && count > own, "\(found)")
        }
    }

    @Test func theRetentionIsComparedWithTheNeedOfARebuild() {
        let state = TopicState(partitions: 6, replicas: 3, withoutLeader: 0, underReplicated: 0)
        func found(_ settings: [String: String], isOfEvents: Bool = true, withoutBeginning: Int = 0) -> [Finding] {
            TopicsCheck.findings(
                "t", state, TopicSettings(settings), brokers: 3, isOfEvents: isOfEvents,
                withoutBeginning: withoutBeginning)
        }
        let forever = ["retention.ms": "-1", "retention.bytes": "-1"]
        #expect(found(forever).map(\.severity) == [.ok])
        let week = found(["retention.ms": "604800000", "retention.bytes": "-1"])
        #expect(week.map(\.finding) == ["t: Kafka removes events after 7d 0h, but a rebuild needs all of them"])
        #expect(week.map(\.severity) == [.warning])
        let size = found(["retention.ms": "-1", "retention.bytes": "1073741824"])
        #expect(size[0].finding.contains("removes events when a partition exceeds 1024 MiB, "), "\(size)")
        #expect(
            found(["retention.ms": "604800000"], isOfEvents: false).map(\.severity) == [.ok], "letters may be removed")
        // Removed records do not come back. A permanent warning about them would not help, so this is only a note.
        let gone = found(["retention.ms": "604800000"], withoutBeginning: 2)
        #expect(gone.map(\.severity) == [.note])
        #expect(gone[0].finding.contains("no longer has the beginning of 2 of 6 partitions"), "\(gone)")
    }

    /// An operator may use a role that only reads. The role of a daemon needs the daemon's rights.
    @Test func whoOnlyLooksNeedsNoRightsOfADaemon() async throws {
        let role = "millrace_test_\(UInt32.random(in: 0 ... .max))"
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            let owner = try await PostgresConnection.connect(postgres)
            try await owner.execute(
                script: """
                    CREATE ROLE \(role) LOGIN;
                    GRANT USAGE ON SCHEMA \(postgres.schema) TO \(role);
                    GRANT SELECT ON ALL TABLES IN SCHEMA \(postgres.schema) TO \(role)
                    """)
            var configuration = postgres
            configuration.settings["role"] = role
            let connection = try await PostgresConnection.connect(configuration)
            var expected = Expectations()
            expected.programs = ["a-daemon"]
            let scene = CheckScene(postgres: configuration, connection: connection, admin: nil, expected: expected)
            let found = await Doctor.examine(scene, [RightsCheck()])
            await connection.close()
            try await owner.execute(script: "DROP OWNED BY \(role); DROP ROLE \(role)")
            await owner.close()
            #expect(found.map(\.severity) == [.note], "\(found)")
            #expect(found.first?.remedy == "name the roles that the daemons connect as: --role")
        }
    }
}
