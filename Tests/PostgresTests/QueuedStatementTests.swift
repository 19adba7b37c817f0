import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

/// Statements that are sent together with the next round trip of their transaction.
@Suite struct QueuedStatementTests {
    @Test func aQueuedStatementRunsBeforeWhatComesNextAndBeforeCommit() async throws {
        try await withTable { connection, configuration in
            try await connection.withTransaction { transaction in
                try await transaction.enqueue("INSERT INTO t VALUES (1)")
                try await transaction.enqueue("INSERT INTO t VALUES (2)")
                #expect(try await transaction.execute("SELECT count(*) FROM t").int64(0, 0) == 2)
                try await transaction.enqueue("INSERT INTO t VALUES (3)")
            }
            let other = try await PostgresConnection.connect(configuration)
            try await expectRows(3, in: other)
            await other.close()
        }
    }

    /// In this case BEGIN, the statement and COMMIT are one round trip.
    @Test func aTransactionMayBeNothingButQueuedStatements() async throws {
        try await withTable { connection, _ in
            try await connection.withTransaction { try await $0.enqueue("INSERT INTO t VALUES (1)") }
            try await expectRows(1, in: connection)
        }
    }

    @Test func aQueuedStatementThatFailsWithCommitRollsBackAndLeavesTheSessionUsable() async throws {
        try await withTable { connection, _ in
            let failures = Atomic(0)
            let error = await #expect(throws: PostgresError.self) {
                try await connection.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    try await transaction.enqueue("INSERT INTO t VALUES (1)") {
                        failures.add(1, ordering: .relaxed)
                    }
                }
            }
            #expect(error?.sqlState == .uniqueViolation)
            #expect(failures.load(ordering: .relaxed) == 1)
            try await expectRows(0, in: connection)
            try await connection.withTransaction { try await $0.execute("INSERT INTO t VALUES (1)") }
            try await expectRows(1, in: connection)
        }
    }

    @Test func aDeferredConstraintThatFailsInCommitRollsBackWhatWasQueued() async throws {
        try await withTable { connection, _ in
            try await connection.execute(
                script: "CREATE TABLE u (a int REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)")
            let error = await #expect(throws: TransactionError.self) {
                try await connection.withTransaction { transaction in
                    try await transaction.enqueue("INSERT INTO t VALUES (1)")
                    try await transaction.enqueue("INSERT INTO u VALUES (9)")
                }
            }
            guard case .rolledBack(let cause) = error else { return #expect(Bool(false), "\(error as Any)") }
            #expect(cause.sqlState == .foreignKeyViolation)
            try await expectRows(0, in: connection)
        }
    }

    @Test func anErrorThatWasSwallowedFailsWhatIsQueued() async throws {
        try await withTable { connection, _ in
            let error = await #expect(throws: PostgresError.self) {
                try await connection.withTransaction { transaction in
                    _ = try? await transaction.execute("SELECT 1 / 0")
                    try await transaction.enqueue("INSERT INTO t VALUES (1)")
                }
            }
            #expect(error?.sqlState == SQLState("25P02"))
            try await expectRows(0, in: connection)
        }
    }

    @Test func theBodysErrorDropsWhatIsQueued() async throws {
        try await withTable { connection, _ in
            await #expect(throws: Failure.self) {
                try await connection.withTransaction { transaction in
                    try await transaction.enqueue("INSERT INTO t VALUES (1)")
                    throw Failure()
                }
            }
            try await expectRows(0, in: connection)
        }
    }

    @Test func aQueuedStatementThatFailsInASavepointIsUndoneWithIt() async throws {
        try await withTable { connection, _ in
            try await connection.withTransaction { transaction in
                try await transaction.enqueue("INSERT INTO t VALUES (1)")
                let error = await #expect(throws: PostgresError.self) {
                    try await transaction.withSavepoint { try await transaction.enqueue("INSERT INTO t VALUES (1)") }
                }
                #expect(error?.sqlState == .uniqueViolation)
                await #expect(throws: Failure.self) {
                    try await transaction.withSavepoint {
                        try await transaction.enqueue("INSERT INTO t VALUES (2)")
                        throw Failure()
                    }
                }
                try await transaction.withSavepoint { try await transaction.enqueue("INSERT INTO t VALUES (3)") }
            }
            let rows = try await connection.execute("SELECT a FROM t ORDER BY a")
            #expect(try (0..<rows.rowCount).map { try rows.int32($0, 0) } == [1, 3])
        }
    }

    @Test func aConnectionLostWithQueuedStatementsIsAnUnknownOutcome() async throws {
        try await withTable { connection, configuration in
            let process = await connection.serverProcessID
            async let committing = Result {
                try await connection.withTransaction { transaction in
                    try await transaction.enqueue("INSERT INTO t VALUES (1)")
                    try await transaction.enqueue("SELECT pg_sleep(60)")
                }
            }
            let killer = try await PostgresConnection.connect(configuration)
            try await killer.waitUntil(
                "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", process)
            try await killer.terminate(process)
            let outcome = await committing
            let error = #expect(throws: TransactionError.self) { try outcome.get() }
            guard case .unknownOutcome = error else { return #expect(Bool(false), "\(error as Any)") }
            try await expectRows(0, in: killer)
            await killer.close()
        }
    }

    /// If a queued statement was not sent, the transaction must not be committed without it.
    @Test func aTaskThatIsCancelledBeforeItsQueuedStatementsAreSentDoesNotCommit() async throws {
        try await withTable { connection, _ in
            let task = Task {
                try await connection.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    try await transaction.enqueue("INSERT INTO t VALUES (2)")
                    // SAFETY: the task is the current one, which is running.
                    unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                    _ = try? await transaction.execute("SELECT 1")
                }
            }
            let outcome = await task.result
            let error = #expect(throws: PostgresError.self) { try outcome.get() }
            #expect(error?.code == .cancelled)
            try await expectRows(0, in: connection)
        }
    }

    @Test func aTaskThatIsCancelledWhileAQueuedStatementRunsRollsBack() async throws {
        try await expectRollbackWhenCancelled { transaction in
            try await transaction.enqueue("INSERT INTO t VALUES (1)")
            try await transaction.enqueue("SELECT pg_sleep(60)")
        }
    }
}
