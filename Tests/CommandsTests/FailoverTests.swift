import Commands
import EmbeddedPostgres
import Events
import Migrations
import Postgres
import TestKit
import Testing

/// The server goes on with older data while a command is being committed.
@Suite struct FailoverTests {
    /// COMMIT takes longer than the server lives.
    private static let slowCommit = """
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION slow();
        """

    /// The new server has given the id of the lost transaction to another one, which has committed, or has not reached
    /// the id. The command is carried out again in both cases.
    @Test(arguments: [TallyScene.Kept.asTable, .asStream], [true, false])
    func aCommitThatIsLostIsNotTakenForAnother(kept: TallyScene.Kept, isReused: Bool) async throws {
        try await TestDatabase.withPrivateServer { server, postgres in
            try await Migrator(postgres).up(["outbox", "commands"])
            try await PostgresConnection.with(postgres) { try await $0.execute(script: TallyTable.schema) }
            let before = try await ServerSnapshot.take(of: server)
            try await PostgresConnection.with(postgres) { connection in
                for _ in 0..<500 { try await connection.execute("SELECT pg_current_xact_id()") }
            }
            let after = try await ServerSnapshot.take(of: server)
            try await before.restore(to: server)
            try await PostgresConnection.with(postgres) { try await $0.execute(script: Self.slowCommit) }

            let bus = try TallyScene.bus(postgres, kept) { $0.connections = 1 }
            try await TallyScene.running(bus) {
                async let outcome = bus.send(Add(tally: "t", number: 1))
                try await eventually {
                    try await PostgresConnection.with(postgres) { connection in
                        try await connection.execute(
                            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                        ).int64(0, 0) == 1
                    }
                }
                try await (isReused ? after : before).restore(to: server)
                #expect(try await outcome.version == 1)
                #expect(try await bus.aggregate(TallyDecider.self, "t")?.state.total == 1)
            }
            let scene = TallyScene(database: postgres, bus: bus)
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 1)
        }
    }
}
