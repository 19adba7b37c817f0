import Kafka
import Migrations
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Inspection

/// Runs checks on a real database that has problems.
@Suite struct CheckTests {
    private static let sets = ["outbox", "projections", "dead-letters"]

    /// Returns the findings of a check after a script has run.
    private func findings(
        of check: any Check, after script: String = "", migrating sets: [String] = sets,
        _ change: (inout Expectations) -> Void = { _ in }
    ) async throws -> [Finding] {
        try await TestDatabase.withSchema(migrating: sets) { postgres in
            let connection = try await PostgresConnection.connect(postgres)
            if !script.isEmpty { try await connection.execute(script: script) }
            var expected = Expectations()
            expected.migrationSets = Self.sets
            change(&expected)
            let scene = CheckScene(postgres: postgres, connection: connection, admin: nil, expected: expected)
            let findings = await Doctor.examine(scene, [check])
            await connection.close()
            #expect(findings.allSatisfy { $0.check == check.name })
            return findings
        }
    }

    @Test func aNewSchemaIsWell() async throws {
        let quiet: [any Check] = [
            DatabaseCheck(), ClockCheck(), SchemaFilesCheck(), RightsCheck(), OutboxBacklogCheck(),
            OutboxDeadRowsCheck(),
            FailedRowsCheck(), BlockedKeysCheck(), CircuitBreakersCheck(), OpenLettersCheck(),
        ]
        for check in quiet {
            let found = try await findings(of: check)
            #expect(found.map(\.severity) == [.ok], "\(found)")
        }
    }

    @Test func withoutTablesAndServersAChecksSaysThatItCannot() async throws {
        let found = try await findings(of: OpenLettersCheck(), migrating: ["outbox"])
        #expect(found.map(\.severity) == [.note])
        #expect(found[0].finding == "not checked: the tables do not exist")
        let scene = CheckScene(
            postgres: PostgresConfiguration(), connection: nil, admin: nil, expected: Expectations())
        let all = await Doctor.examine(scene)
        #expect(Set(all.map(\.check)) == Set(Doctor.checks.map(\.name)))
        #expect(all.first?.severity == .critical && all.first?.check == "database")
        #expect(all.dropFirst().allSatisfy { $0.severity == .note && $0.finding.hasPrefix("not checked: ") }, "\(all)")
    }

    /// Debezium's layout has no column that shows which rows wait, or since when.
    @Test func rowsOfDebeziumsLayoutAreCounted() async throws {
        let table = """
            CREATE TABLE outboxevent (
                id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text, aggregateid text, type text,
                payload jsonb);
            SELECT millrace_adopt_outbox('outboxevent');
            INSERT INTO outboxevent (type) SELECT 'x' FROM generate_series(1, 3)
            """
        let found = try await findings(
            of: OutboxBacklogCheck(), after: table, migrating: ["outbox-debezium"]
        ) { $0.outbox = "outboxevent" }
        #expect(found.map(\.severity) == [.ok])
        #expect(found[0].finding == "3 rows wait; the table does not say for how long")
        #expect(OutboxBacklogCheck.finding(rows: 10_000, ageSeconds: nil).severity == .warning)
        let none = try await findings(of: OutboxBacklogCheck(), migrating: ["projections"])
        #expect(none.map(\.finding) == ["not checked: there is no table outbox"])
    }

    @Test func aSchemaWithoutMigrationsIsAProblem() async throws {
        let found = try await findings(of: SchemaFilesCheck(), migrating: []) { $0.migrationSets = [] }
        #expect(found.map(\.severity) == [.critical])
        #expect(found[0].finding.hasSuffix("has no migrations of Millrace"))
    }

    @Test func missingMigrationsAreNamed() async throws {
        let found = try await findings(of: SchemaFilesCheck(), migrating: ["outbox", "projections"])
        #expect(found.map(\.severity) == [.critical])
        #expect(found[0].finding.hasPrefix("missing: dead-letters 1"))
        #expect(found[0].remedy == "millrace migrate up --set dead-letters")
        let states = SchemaFilesCheck.findings([
            ("a 1", "a", .applied), ("a 2", "a", .changed), ("a 3", "a", .unknown),
        ])
        #expect(states.map(\.severity) == [.warning, .note])
    }

    @Test func rowsThatWaitAreFound() async throws {
        let row = """
            INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, occurred_at, payload)
            VALUES ('OrderCreated', 'Order', 'o-1', 1, clock_timestamp() - interval '2 minutes', '{}')
            """
        let found = try await findings(of: OutboxBacklogCheck(), after: row)
        #expect(found.map(\.severity) == [.critical])
        #expect(found[0].finding.hasPrefix("1 row waits, the oldest for 2m "), "\(found)")
        #expect(OutboxBacklogCheck.finding(rows: 5, ageSeconds: 59).severity == .ok)
        #expect(OutboxBacklogCheck.finding(rows: 100_000, ageSeconds: 61).finding.contains("100000 rows or more"))
        let failed = """
            INSERT INTO outbox_failed (id, event_id, aggregate_type, error_class, error)
            VALUES (1, gen_random_uuid(), 'Order', 'too_large', 'x')
            """
        #expect(try await findings(of: FailedRowsCheck(), after: failed).map(\.severity) == [.critical])
    }

    @Test func blockedKeysBreakersAndLettersAreFound() async throws {
        let projection = "INSERT INTO projections (id, name, version, consumer_group) VALUES (1, 'orders', 2, 'g');"
        let parked =
            projection + """
                INSERT INTO parked_events
                    (projection_id, topic, partition, record_offset, sequence, reason, error_class, parked_at)
                SELECT 1, 't', 0, n, 'k', CASE n WHEN 1 THEN 'failed' WHEN 4 THEN 'discarded' ELSE 'blocked' END, 'c',
                    clock_timestamp() - interval '90 seconds'
                FROM generate_series(1, 4) AS n
                """
        let blocked = try await findings(of: BlockedKeysCheck(), after: parked)
        #expect(blocked.map(\.severity) == [.warning])
        #expect(
            blocked[0].finding.hasPrefix("orders v2: 3 events of 1 key are parked, the oldest for 1m 3"), "\(blocked)")
        #expect(blocked[0].remedy?.hasSuffix("letters.consumers names orders") ?? false, "\(blocked)")
        let open =
            projection + """
                INSERT INTO circuit_breakers
                    (projection_id, topic, partition, error_class, event_type, failures, opened_at)
                VALUES (1, 't', 0, 'a', 'A', 50, clock_timestamp()), (1, 't', 0, '', '', 50, clock_timestamp()),
                    (1, 't', 1, 'a', 'A', 3, NULL)
                """
        let breakers = try await findings(of: CircuitBreakersCheck(), after: open)
        #expect(breakers.map(\.severity) == [.critical])
        #expect(breakers[0].finding.hasPrefix("orders v2: open in 1 partition for "), "\(breakers)")
        let groups = """
            INSERT INTO dead_letter_groups
                (consumer, error_class, fingerprint, first_seen, last_seen, example_letter, example_message, pending)
            VALUES ('orders', 'a', 'f1', now(), now(), 1, 'm', 2), ('orders', 'b', 'f2', now(), now(), 2, 'm', 0)
            """
        let letters = try await findings(of: OpenLettersCheck(), after: groups)
        #expect(letters.map(\.severity) == [.warning])
        #expect(letters[0].finding.hasPrefix("orders: 2 open, in 1 group,"), "\(letters)")
    }

    @Test func whoLacksRightsIsNamed() async throws {
        let role = "millrace_test_\(UInt32.random(in: 0 ... .max))"
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            let connection = try await PostgresConnection.connect(postgres)
            try await connection.execute(
                script: """
                    CREATE ROLE \(role);
                    GRANT USAGE ON SCHEMA \(postgres.schema) TO \(role);
                    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \(postgres.schema) TO \(role);
                    REVOKE DELETE, UPDATE ON outbox FROM \(role)
                    """)
            var expected = Expectations()
            expected.roles = [role]
            let scene = CheckScene(postgres: postgres, connection: connection, admin: nil, expected: expected)
            let found = await Doctor.examine(scene, [RightsCheck()])
            try await connection.execute(script: "DROP OWNED BY \(role); DROP ROLE \(role)")
            await connection.close()
            #expect(found.map(\.severity) == [.warning])
            #expect(
                found.first?.finding
                    == "\(role) lacks these rights in schema \(postgres.schema): UPDATE, DELETE on outbox")
        }
    }

    /// PostgreSQL hides what other users' connections do, but not their names.
    @Test func programsOfOtherUsersAreSeen() async throws {
        let role = "millrace_test_\(UInt32.random(in: 0 ... .max))"
        try await TestDatabase.withSchema(migrating: []) { postgres in
            var program = postgres
            program.applicationName = "relay-of-\(role)"
            let running = try await PostgresConnection.connect(program)
            try await running.execute(script: "CREATE ROLE \(role)")
            var configuration = postgres
            configuration.settings["role"] = role
            let connection = try await PostgresConnection.connect(configuration)
            var expected = Expectations()
            expected.programs = [program.applicationName, "gone-\(role)"]
            let scene = CheckScene(postgres: configuration, connection: connection, admin: nil, expected: expected)
            let found = await Doctor.examine(scene, [ProgramsCheck()])
            let transactions = await Doctor.examine(scene, [PinnedTransactionsCheck(limitSeconds: 100_000)])
            #expect(transactions.map(\.severity) == [.note], "what cannot be seen is not well")
            await connection.close()
            try await running.execute(script: "DROP ROLE \(role)")
            await running.close()
            #expect(
                found.map(\.finding) == [
                    "\(program.applicationName): 1 connection", "gone-\(role) is not connected",
                ])
            #expect(found.map(\.severity) == [.ok, .warning])
        }
    }

    /// PostgreSQL reports the tables of a schema as missing if the user has no right to use the schema.
    @Test func aSchemaThatMayNotBeUsedIsNamed() async throws {
        let role = "millrace_test_\(UInt32.random(in: 0 ... .max))"
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            let owner = try await PostgresConnection.connect(postgres)
            try await owner.execute(script: "CREATE ROLE \(role)")
            var configuration = postgres
            configuration.settings["role"] = role
            let connection = try await PostgresConnection.connect(configuration)
            var expected = Expectations()
            expected.migrationSets = ["outbox"]
            let scene = CheckScene(postgres: configuration, connection: connection, admin: nil, expected: expected)
            let found = await Doctor.examine(scene, [SchemaFilesCheck(), OutboxBacklogCheck()])
            for remedy in Set(found.compactMap(\.remedy)) { try await owner.execute(script: remedy) }
            let afterwards = await Doctor.examine(scene, [SchemaFilesCheck()])
            await connection.close()
            try await owner.execute(script: "DROP OWNED BY \(role); DROP ROLE \(role)")
            await owner.close()
            #expect(found.map(\.severity) == [.critical, .critical])
            for finding in found.map(\.finding) {
                #expect(finding == "not checked: \(role) lacks USAGE on schema \(postgres.schema)")
            }
            #expect(
                afterwards.map(\.finding) == ["not checked: \(role) lacks SELECT on table millrace_migrations"])
        }
    }

    /// The tables of a read model are in the schema of its version.
    @Test func whoLacksRightsOnAVersionIsNamed() async throws {
        let role = "millrace_test_\(UInt32.random(in: 0 ... .max))"
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary"]) { postgres in
            let connection = try await PostgresConnection.connect(postgres)
            let version = "\(postgres.schema)_order_summary_v1"
            try await connection.execute(
                script: """
                    CREATE ROLE \(role);
                    GRANT USAGE ON SCHEMA \(postgres.schema) TO \(role);
                    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \(postgres.schema) TO \(role);
                    GRANT SELECT ON \(version).order_summary_rows TO \(role)
                    """)
            var expected = Expectations()
            expected.roles = [role]
            let scene = CheckScene(postgres: postgres, connection: connection, admin: nil, expected: expected)
            let before = await Doctor.examine(scene, [RightsCheck()])
            let remedy = try #require(before.first?.remedy)
            try await connection.execute(script: remedy)
            let after = await Doctor.examine(scene, [RightsCheck()])
            try await connection.execute(script: "DROP OWNED BY \(role); DROP ROLE \(role)")
            await connection.close()
            #expect(
                before.map(\.finding) == [
                    "\(role) lacks these rights in schema \(version): USAGE on the schema, "
                        + "INSERT, UPDATE, DELETE on order_summary_rows"
                ])
            #expect(after.map(\.finding) == ["all rights on the tables of \(postgres.schema), \(version)"])
        }
    }

    /// An installation may lack optional programs.
    @Test func programsThatAreNotConnectedAreNamed() async throws {
        let found = try await findings(of: ProgramsCheck()) {
            $0.programs = ["a-required-program"]
            $0.optionalPrograms = ["an-optional-program"]
        }
        #expect(found.map(\.severity) == [.warning, .note])
        #expect(
            found.map(\.finding) == ["a-required-program is not connected", "an-optional-program is not connected"])
    }

    @Test func anOpenTransactionIsNamedByItsProcess() async throws {
        try await TestDatabase.withSchema { postgres in
            var named = postgres
            named.applicationName = "millrace-test-pin"
            let pin = try await PostgresConnection.connect(named)
            try await pin.execute(script: "BEGIN; SELECT pg_current_xact_id()")
            let pid = await pin.serverProcessID
            let connection = try await PostgresConnection.connect(postgres)
            let scene = CheckScene(
                postgres: postgres, connection: connection, admin: nil, expected: Expectations())
            try await eventually {
                let found = await Doctor.examine(scene, [PinnedTransactionsCheck(limitSeconds: 0)])
                return found.contains {
                    $0.finding.hasPrefix("pid \(pid) has a transaction open for ") && $0.severity == .warning
                        && $0.finding.contains("millrace-test-pin") && $0.remedy?.contains("(\(pid))") ?? false
                }
            }
            let patient = await Doctor.examine(scene, [PinnedTransactionsCheck(limitSeconds: 100_000)])
            #expect(patient.map(\.severity) == [.ok])
            try await pin.execute(script: "ROLLBACK")
            await pin.close()
            await connection.close()
        }
    }

    @Test func anOldServerIsCritical() {
        #expect(DatabaseCheck.age(of: "13.23", number: 130_023)?.severity == .critical)
        #expect(DatabaseCheck.age(of: "14.0", number: 140_000) == nil)
        #expect(DatabaseCheck.age(of: "18.1", number: 180_001) == nil)
    }

    @Test func clocksAreComparedByWhatLiesOutside() {
        #expect(ClockCheck.finding(before: 1_000, theirs: 1_500, after: 2_000).severity == .ok)
        #expect(ClockCheck.finding(before: 1_000, theirs: 9_000, after: 8_500).severity == .ok)
        let ahead = ClockCheck.finding(before: 1_000, theirs: 5_000, after: 2_000)
        #expect(ahead.finding == "the database's clock is 3000 ms ahead of this machine's clock")
        #expect(ahead.severity == .warning)
        #expect(ClockCheck.finding(before: 5_000, theirs: 1_000, after: 6_000).finding.contains("4000 ms behind"))
    }

    // MARK: topics

    @Test func topicsAreJudgedByTheirCopies() {
        func found(
            _ state: TopicState, _ settings: [String: String] = [:], brokers: Int = 3, isOfEvents: Bool = true
        ) -> [Severity] {
            TopicsCheck.findings("t", state, TopicSettings(settings), brokers: brokers, isOfEvents: isOfEvents)
                .map(\.severity)
        }
        func state(replicas: Int = 3, withoutLeader: Int = 0, underReplicated: Int = 0) -> TopicState {
            TopicState(
                partitions: 6, replicas: replicas, withoutLeader: withoutLeader, underReplicated: underReplicated)
        }
        #expect(found(state(), ["min.insync.replicas": "2", "retention.ms": "-1"]) == [.ok])
        #expect(found(state(withoutLeader: 1)) == [.critical])
        #expect(found(state(underReplicated: 2)) == [.warning])
        #expect(found(state(replicas: 1)) == [.warning])
        #expect(found(state(replicas: 1), brokers: 1) == [.ok])
        #expect(found(state(), ["min.insync.replicas": "1"]) == [.warning])
        #expect(found(state(), ["cleanup.policy": "compact"]) == [.warning])
        #expect(found(state(), ["cleanup.policy": "compact"], isOfEvents: false) == [.ok])
        #expect(TopicsCheck.missing("t", isOfEvents: true).severity == .critical)
    }

    @Test func theClusterIsAsked() async throws {
        // Brokers delete events after some days by default, and the check warns about that.
        try await TestKafka.withTopics(partitions: 3, settings: ["retention.ms": "-1"]) { topics in
            var expected = Expectations()
            expected.eventTopics = [topics[0], topics[0] + "-not"]
            let admin = try KafkaAdmin(try TestKafka.clientConfiguration())
            let scene = CheckScene(
                postgres: PostgresConfiguration(), connection: nil, admin: admin, expected: expected)
            #expect(await Doctor.examine(scene, [BrokersCheck()]).map(\.severity) == [.ok])
            let found = await Doctor.examine(scene, [TopicsCheck()])
            #expect(found.contains { $0.finding.hasPrefix("\(topics[0]): 3 partitions, ") }, "\(found)")
            let missing = "topic \(topics[0])-not does not exist"
            #expect(found.contains { $0.finding == missing && $0.severity == .critical })
        }
    }

    @Test func brokersThatAreAwayAreAFinding() async throws {
        let admin = try KafkaAdmin(KafkaClientConfiguration(bootstrapServers: "127.0.0.1:1"), timeoutMs: 200)
        let scene = CheckScene(
            postgres: PostgresConfiguration(), connection: nil, admin: admin, expected: Expectations())
        #expect(await Doctor.examine(scene, [BrokersCheck()]).map(\.severity) == [.critical])
    }
}
