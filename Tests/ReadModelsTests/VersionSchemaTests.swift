import Dashboard
import Kafka
import OrderSummary
import Postgres
import ReadModels
import StreamCore
import TestKit
import Testing

/// Versions in the database: those that migrations made from the earlier tables, and those that a rebuild makes.
struct VersionSchemaTests {
    private static let models = [OrderSummaryProjection.readModel, DashboardProjection.readModel]

    /// Runs `body` with a topic and a schema that contains both read models.
    private func withScene(
        _ body: (PostgresConfiguration, KafkaClientConfiguration, [String]) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "order-summary", "dashboard"]) { postgres in
            try await TestKafka.withTopics { topics in
                var plain = postgres
                plain.searchedFirst = []
                try await body(plain, TestKafka.clientConfiguration(), topics)
            }
        }
    }

    private func text(_ query: Statement, _ schema: String, on connection: PostgresConnection) async throws -> [String]
    {
        let rows = try await connection.execute(query, Parameters { $0.append(schema) })
        return try (0..<rows.rowCount).map { try rows.string($0, 0).replacing("\(schema).", with: "") }
    }

    /// Everything that a program, a reader or the planner can see of a schema, in one line each.
    private static let shape: [Statement] = [
        """
        SELECT concat_ws(' ', c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attgenerated, pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation, c.reloptions)
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'v', 'c') AND a.attnum > 0
            AND NOT a.attisdropped
        ORDER BY c.relname, a.attnum
        """,
        "SELECT indexdef FROM pg_indexes WHERE schemaname = $1 ORDER BY indexname",
        """
        SELECT conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = $1::text::regnamespace ORDER BY 1
        """,
        """
        SELECT viewname || pg_get_viewdef(format('%I.%I', schemaname, viewname)::regclass) FROM pg_views
        WHERE schemaname = $1 ORDER BY 1
        """,
        """
        SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxnamespace = $1::text::regnamespace ORDER BY 1
        """,
    ]

    @Test func aRebuildMakesTheTablesThatMigrationsMade() async throws {
        try await withScene { postgres, kafka, topics in
            for model in Self.models {
                let rebuild = Rebuild(model, postgres)
                let made = try await rebuild.start(Rebuild.Reading(topics: topics), kafka: kafka)
                let live = try #require(try await rebuild.policy().live)
                #expect(made.version == 2 && live.version == 1)
                #expect(made.schema == live.schema.dropLast(1) + "2")
                let connection = try await PostgresConnection.connect(postgres)
                for query in Self.shape {
                    let old = try await text(query, live.schema, on: connection)
                    let new = try await text(query, made.schema, on: connection)
                    #expect(old == new)
                    #expect(!old.isEmpty || model.name == "dashboard")
                }
                await connection.close()
            }
        }
    }

    @Test func eachStepCanBeAskedForAgain() async throws {
        try await withScene { postgres, kafka, topics in
            let rebuild = Rebuild(Self.models[0], postgres)
            let reading = Rebuild.Reading(topics: topics)
            let first = try await rebuild.start(reading, kafka: kafka)
            let second = try await rebuild.start(reading, kafka: kafka)
            #expect(first.version == second.version)
            #expect(try await rebuild.abort() == second)
            await #expect(throws: RebuildRefusal.self) { try await rebuild.abort() }
            let third = try await rebuild.start(reading, kafka: kafka)
            #expect(third.version == 2)
            await #expect(throws: RebuildRefusal.self) { try await rebuild.promote(isForced: false) }
            try await rebuild.noteVerified(third)
            let promotion = try await rebuild.promote(isForced: false)
            #expect(promotion.version.version == 2 && promotion.blockedFor < .milliseconds(50))
            let retired = try await rebuild.retire()
            #expect(retired.map(\.version) == [1])
            await #expect(throws: RebuildRefusal.self) { try await rebuild.retire() }
            let connection = try await PostgresConnection.connect(postgres)
            #expect(try await connection.execute("SELECT count(*) FROM order_summary").int64(0, 0) == 0)
            let schemas = try await connection.execute(
                "SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, $1)",
                Parameters { $0.append("\(postgres.schema)_order_summary") })
            #expect(try schemas.int64(0, 0) == 1)
            await connection.close()
        }
    }

    /// While the promotion waits for a long reader, other readers do not queue behind the promotion. They are answered
    /// all the time.
    @Test func aLongReaderHoldsUpThePromotionAndNobodyElse() async throws {
        try await withScene { postgres, kafka, topics in
            let rebuild = Rebuild(Self.models[1], postgres)
            let version = try await rebuild.start(Rebuild.Reading(topics: topics), kafka: kafka)
            let long = try await PostgresConnection.connect(postgres)
            let short = try await PostgresConnection.connect(postgres)
            let promotion = try await long.withTransaction { transaction in
                try await transaction.execute("SELECT count(*) FROM dashboard_counters")
                let promoting = Task { try await rebuild.promote(isForced: true, waitingUpTo: .seconds(100)) }
                var slowest = Duration.zero
                for _ in 0..<200 {
                    let start = ContinuousClock.now
                    try await short.execute("SELECT count(*) FROM dashboard_counters")
                    slowest = max(slowest, .now - start)
                }
                #expect(slowest < .seconds(1))
                #expect(try await rebuild.policy().live?.version == 1)
                return promoting
            }
            #expect(try await promotion.value.version == version)
            #expect(try await rebuild.policy().live?.version == 2)
            await long.close()
            await short.close()
        }
    }

    @Test func rightsGoOverToTheNewVersion() async throws {
        try await withScene { postgres, kafka, topics in
            let role = "\(postgres.schema)_reader"
            let rebuild = Rebuild(Self.models[0], postgres)
            let live = try #require(try await rebuild.policy().live)
            let connection = try await PostgresConnection.connect(postgres)
            try await connection.execute(
                script: """
                    CREATE ROLE \(role); GRANT USAGE ON SCHEMA \(live.schema) TO \(role);
                    GRANT SELECT ON \(live.schema).order_summary_rows TO \(role)
                    """)
            let made = try await rebuild.start(Rebuild.Reading(topics: topics), kafka: kafka)
            let rights = try await connection.execute(
                """
                SELECT has_schema_privilege($1, $2, 'USAGE'),
                    has_table_privilege($1, $2 || '.order_summary_rows', 'SELECT'),
                    has_table_privilege($1, $2 || '.order_summary_rows', 'INSERT')
                """,
                Parameters {
                    $0.append(role)
                    $0.append(made.schema)
                })
            #expect(try rights.bool(0, 0) && rights.bool(0, 1))
            #expect(try !rights.bool(0, 2))
            try await connection.execute(script: "DROP OWNED BY \(role); DROP ROLE \(role)")
            await connection.close()
        }
    }
}
