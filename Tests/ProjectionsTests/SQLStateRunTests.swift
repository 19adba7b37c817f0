import Kafka
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// A trigger makes one event of a batch fail with an error of any class. The event is parked, and all others are
/// applied.
@Suite struct SQLStateRunTests {
    private static func refuse(_ code: String, where condition: String) -> String {
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the test says so' USING ERRCODE = '\(code)'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ledger FOR EACH ROW WHEN (\(condition))
        EXECUTE FUNCTION refuse();
        """
    }

    private static let release = "DROP TRIGGER refuse ON ledger"

    /// Runs until every key except `k7` is applied. Then removes the cause and runs until all are applied.
    private func expectOneParked(
        _ scene: ParkingScene, errorClass: String, postgres: PostgresConfiguration? = nil
    ) async throws {
        let ledger = scene.ledger
        try await ledger.produce(count: 90, keys: 30)
        let log = RecordedLog()
        try await running(scene.runner(postgres: postgres, log: log) { $0.refusedAttemptsLimit = 1_000 }) {
            try await ledger.caughtUp()
            var expected = ledger.expectedRows()
            expected["k7"] = nil
            #expect(try await ledger.rows() == expected)
            let letters = try await scene.letters()
            #expect(letters.map(\.reason) == ["failed", "blocked", "blocked"])
            #expect(letters.first?["millrace.error.class"] == errorClass)
            #expect(letters.compactMap(\.event?.key) == ["k7", "k7", "k7"])
            #expect(try await scene.openBreakers() == 0)
            try await scene.execute(Self.release)
            try await scene.retryUntilResolved()
        }
        try await ledger.expectExact()
        #expect(log.lines("circuit breaker open").isEmpty)
    }

    @Test(arguments: [
        // Permanent errors, or errors of an unknown class.
        "P0001", "02000", "0A000", "20000", "54000", "55000", "HV000", "XX000", "XX001", "ZZ999",
        // Errors that usually affect every event.
        "42P01", "42501", "3F000", "28000", "3D000",
        // Errors that are usually temporary.
        "40001", "40P01", "55P03", "55006", "08006", "53200", "57014",
    ])
    func oneEventIsParkedAndAllOthersAreApplied(_ code: String) async throws {
        try await ParkingScene.with { scene in
            try await scene.execute(Self.refuse(code, where: "NEW.key = 'k7'"))
            try await expectOneParked(scene, errorClass: "sql_\(code)")
        }
    }

    @Test func oneEventThatTakesTooLongIsParked() async throws {
        try await ParkingScene.with { scene in
            try await scene.execute(
                """
                CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
                CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ledger FOR EACH ROW WHEN (NEW.key = 'k7')
                EXECUTE FUNCTION dawdle();
                """)
            var impatient = scene.ledger.postgres
            impatient.statementTimeoutMs = 1_000
            try await expectOneParked(scene, errorClass: "sql_57014", postgres: impatient)
        }
    }

    /// Events that can be applied are not parked with it.
    @Test func oneThatCameAloneIsParkedWhenOthersCome() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            try await scene.execute(Self.refuse("42P01", where: "NEW.key = 'k7'"))
            try await ledger.produce([ledger.next("k7")])
            let log = RecordedLog()
            try await running(scene.runner(log: log) { $0.refusedAttemptsLimit = 1_000 }) {
                try await eventually { !log.lines("the database's work failed").isEmpty }
                #expect(try await scene.parked() == 0)
                try await ledger.produce([ledger.next("other")])
                try await ledger.caughtUp()
                #expect(try await scene.letters().compactMap(\.event?.key) == ["k7"])
                #expect(try await ledger.rows().keys.sorted() == ["other"])
            }
        }
    }

    @Test func whatFailsForAllEventsIsNoEventsFault() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            try await scene.execute(Self.refuse("42P01", where: "true"))
            try await ledger.produce(count: 60, keys: 60)
            let runner = scene.runner {
                $0.backoffInitialMs = 1
                $0.backoffCeilingMs = 10
            }
            let error = await #expect(throws: ProjectionError.self) { try await runner.run() }
            guard case .unusable(let cause) = error else {
                Issue.record("ended by \(String(describing: error))")
                return
            }
            #expect((cause as? PostgresError)?.sqlState == .undefinedTable)
            #expect(try await scene.letters().isEmpty)
            #expect(try await scene.parked() == 0)
        }
    }

    @Test func aLockOnAllRowsParksNothing() async throws {
        try await ParkingScene.with { scene in
            let ledger = scene.ledger
            try await scene.execute(Self.refuse("55P03", where: "true"))
            try await ledger.produce(count: 60, keys: 60)
            let tries = Countdown(60)
            let projection = ledger.projection { $0.beforeApply = { _, _ in _ = tries.next() } }
            try await running(scene.runner(projection)) {
                // This is far beyond the number of attempts for errors that are usually temporary.
                try await eventually { tries.isUsedUp }
                #expect(try await scene.letters().isEmpty)
                try await scene.execute(Self.release)
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
            #expect(try await scene.letters().isEmpty)
        }
    }

    @Test func internalErrorsOfAllEventsOpenTheCircuitBreaker() async throws {
        try await ParkingScene.with(partitions: 1) { scene in
            let ledger = scene.ledger
            try await scene.execute(Self.refuse("XX000", where: "true"))
            try await ledger.produce(count: 300, keys: 300)
            let log = RecordedLog()
            try await running(scene.runner(log: log)) {
                try await eventually { log.lines("stays open").count >= 2 }
                #expect(try await scene.parked() == 50)
                try await scene.execute(Self.release)
                try await ledger.caughtUp()
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }
}
