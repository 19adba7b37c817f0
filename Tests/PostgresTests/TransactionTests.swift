import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct TransactionTests {
    @Test func commitsWhatTheBodyDid() async throws {
        try await withTable { connection, configuration in
            let answer = try await connection.withTransaction(isolation: .serializable) { transaction in
                let level = try await transaction.execute("SELECT current_setting('transaction_isolation')")
                #expect(try level.string(0, 0) == "serializable")
                try await transaction.execute("INSERT INTO t VALUES (1)")
                return 42
            }
            #expect(answer == 42)
            let other = try await PostgresConnection.connect(configuration)
            try await expectRows(1, in: other)
            await other.close()
        }
    }

    @Test func aTransactionWithoutStatementsAsksNothingOfTheServer() async throws {
        try await withTable { connection, _ in
            try await connection.withTransaction { _ in }
            await #expect(throws: Failure.self) { try await connection.withTransaction { _ in throw Failure() } }
            try await expectRows(0, in: connection)
        }
    }

    @Test func theBodysErrorRollsBack() async throws {
        try await withTable { connection, _ in
            await #expect(throws: Failure.self) {
                try await connection.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    throw Failure()
                }
            }
            try await expectRows(0, in: connection)
        }
    }

    @Test func anErrorThatWasSwallowedMakesTheCommitARollback() async throws {
        try await withTable { connection, _ in
            let error = await #expect(throws: TransactionError.self) {
                try await connection.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    _ = try? await transaction.execute("INSERT INTO t VALUES (1)")
                }
            }
            guard case .rolledBack(let cause) = error else { return #expect(Bool(false), "\(error as Any)") }
            #expect(cause.sqlState == .uniqueViolation && error?.kind == .permanent)
            try await expectRows(0, in: connection)
        }
    }

    @Test func aDeferredConstraintThatFailsInCommitRollsBack() async throws {
        try await withTable { connection, _ in
            try await connection.execute(
                script: "CREATE TABLE u (a int REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)")
            let error = await #expect(throws: TransactionError.self) {
                try await connection.withTransaction { try await $0.execute("INSERT INTO u VALUES (9)") }
            }
            guard case .rolledBack(let cause) = error else { return #expect(Bool(false), "\(error as Any)") }
            #expect(cause.sqlState == .foreignKeyViolation)
            try await expectRows(0, in: connection)
        }
    }

    @Test func aConnectionLostInCommitIsAnUnknownOutcome() async throws {
        try await withTable { connection, configuration in
            try await connection.execute(
                script: """
                    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                        $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
                    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
                        FOR EACH ROW EXECUTE FUNCTION slow();
                    """)
            let process = await connection.serverProcessID
            async let committing = Result {
                try await connection.withTransaction { try await $0.execute("INSERT INTO t VALUES (1)") }
            }
            let killer = try await PostgresConnection.connect(configuration)
            try await killer.waitUntil(
                "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND query = 'COMMIT' AND wait_event = 'PgSleep'", process
            )
            try await killer.terminate(process)
            let outcome = await committing
            let error = #expect(throws: TransactionError.self) { try outcome.get() }
            guard case .unknownOutcome(let cause) = error else { return #expect(Bool(false), "\(error as Any)") }
            #expect(cause.code == .connectionLost && cause.sqlState == .adminShutdown && error?.kind == .transient)
            try await expectRows(0, in: killer)
            await killer.close()
        }
    }

    @Test func aConnectionLostBeforeCommitIsARollback() async throws {
        try await withTable { connection, configuration in
            let killer = try await PostgresConnection.connect(configuration)
            let error = await #expect(throws: TransactionError.self) {
                try await connection.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    try await killer.terminate(await connection.serverProcessID)
                    _ = try? await transaction.execute("INSERT INTO t VALUES (2)")
                }
            }
            guard case .rolledBack = error else { return #expect(Bool(false), "\(error as Any)") }
            try await expectRows(0, in: killer)
            await killer.close()
        }
    }

    @Test func aSavepointUndoesOnlyItsOwn() async throws {
        try await withTable { connection, _ in
            try await connection.withTransaction { transaction in
                try await transaction.execute("INSERT INTO t VALUES (1)")
                await #expect(throws: PostgresError.self) {
                    try await transaction.withSavepoint {
                        try await transaction.execute("INSERT INTO t VALUES (2)")
                        try await transaction.execute("INSERT INTO t VALUES (1)")
                    }
                }
                try await transaction.withSavepoint { try await transaction.execute("INSERT INTO t VALUES (3)") }
            }
            let rows = try await connection.execute("SELECT a FROM t ORDER BY a")
            #expect(try (0..<rows.rowCount).map { try rows.int32($0, 0) } == [1, 3])
        }
    }

    @Test func onlyTheTransactionsOwnStatementsRunWhileItIsOpen() async throws {
        try await withTable { connection, _ in
            var escaped: PostgresTransaction?
            try await connection.withTransaction { transaction in
                escaped = transaction
                let error = await #expect(throws: PostgresError.self) { try await connection.execute("SELECT 1") }
                #expect(error?.code == .usage)
            }
            let error = await #expect(throws: PostgresError.self) { try await escaped?.execute("SELECT 1") }
            #expect(error?.code == .usage)
        }
    }

    @Test func aCancelledTaskRollsBackAndLeavesTheSessionUsable() async throws {
        try await expectRollbackWhenCancelled { transaction in
            try await transaction.execute("INSERT INTO t VALUES (1)")
            try await transaction.execute("SELECT pg_sleep(60)")
        }
    }

    /// BEGIN is sent together with the first statement. If that statement is never sent, the next one must not run
    /// outside of a transaction.
    @Test func aFirstStatementThatWasNotSentDoesNotLoseTheBegin() async throws {
        try await withTable { connection, _ in
            let task = Task {
                try await connection.withTransaction { transaction in
                    // SAFETY: the task is the current one, which is running.
                    unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                    let first = await Result { try await transaction.execute("INSERT INTO t VALUES (1)") }
                    #expect(throws: PostgresError.self) { try first.get() }
                    _ = try await Task.detached { try await transaction.execute("INSERT INTO t VALUES (2)") }.value
                    throw Failure()
                }
            }
            let outcome = await task.result
            #expect(throws: Failure.self) { try outcome.get() }
            try await expectRows(0, in: connection)
        }
    }
}
