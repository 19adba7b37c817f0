import Glibc
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@Suite struct TransactionTests {
    private struct Failure: Error {}

    private func withTable(
        _ body: (PostgresConnection, PostgresConfiguration) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(script: "CREATE TABLE t (a int PRIMARY KEY)")
            try await body(connection, configuration)
            await connection.close()
        }
    }

    /// Expects so many rows in the table, as `connection` sees it.
    private func expect(
        _ rows: Int64, in connection: PostgresConnection, _ location: SourceLocation = #_sourceLocation
    ) async throws {
        let count = try await connection.execute("SELECT count(*) FROM t").int64(0, 0)
        #expect(count == rows, sourceLocation: location)
    }

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
            try await expect(1, in: other)
            await other.close()
        }
    }

    @Test func aTransactionWithoutStatementsAsksNothingOfTheServer() async throws {
        try await withTable { connection, _ in
            try await connection.withTransaction { _ in }
            await #expect(throws: Failure.self) { try await connection.withTransaction { _ in throw Failure() } }
            try await expect(0, in: connection)
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
            try await expect(0, in: connection)
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
            try await expect(0, in: connection)
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
            try await expect(0, in: connection)
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
            try await expect(0, in: killer)
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
            try await expect(0, in: killer)
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
        try await withTable { connection, configuration in
            let observer = try await PostgresConnection.connect(configuration)
            let process = await connection.serverProcessID
            let task = Task {
                try await connection.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    try await transaction.execute("SELECT pg_sleep(60)")
                }
            }
            try await observer.waitUntil(
                "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", process)
            task.cancel()
            let outcome = await task.result
            let error = #expect(throws: PostgresError.self) { try outcome.get() }
            #expect(error?.code == .cancelled)
            try await expect(0, in: connection)
            #expect(await connection.serverProcessID == process)
            await observer.close()
        }
    }

    /// BEGIN goes out with the first statement; one that is never sent must not let the next run outside.
    @Test func aFirstStatementThatWasNotSentDoesNotLoseTheBegin() async throws {
        try await withTable { connection, _ in
            let task = Task {
                try await connection.withTransaction { transaction in
                    // SAFETY: the task is this one, which runs.
                    unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                    let first = await Result { try await transaction.execute("INSERT INTO t VALUES (1)") }
                    #expect(throws: PostgresError.self) { try first.get() }
                    _ = try await Task.detached { try await transaction.execute("INSERT INTO t VALUES (2)") }.value
                    throw Failure()
                }
            }
            let outcome = await task.result
            #expect(throws: Failure.self) { try outcome.get() }
            try await expect(0, in: connection)
        }
    }

    // MARK: queued statements

    @Test func aQueuedStatementRunsBeforeWhatComesNextAndBeforeCommit() async throws {
        try await withTable { connection, configuration in
            try await connection.withTransaction { transaction in
                try await transaction.enqueue("INSERT INTO t VALUES (1)")
                try await transaction.enqueue("INSERT INTO t VALUES (2)")
                #expect(try await transaction.execute("SELECT count(*) FROM t").int64(0, 0) == 2)
                try await transaction.enqueue("INSERT INTO t VALUES (3)")
            }
            let other = try await PostgresConnection.connect(configuration)
            try await expect(3, in: other)
            await other.close()
        }
    }

    /// BEGIN, the statement and COMMIT are one round trip then.
    @Test func aTransactionMayBeNothingButQueuedStatements() async throws {
        try await withTable { connection, _ in
            try await connection.withTransaction { try await $0.enqueue("INSERT INTO t VALUES (1)") }
            try await expect(1, in: connection)
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
            try await expect(0, in: connection)
            try await connection.withTransaction { try await $0.execute("INSERT INTO t VALUES (1)") }
            try await expect(1, in: connection)
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
            try await expect(0, in: connection)
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
            try await expect(0, in: connection)
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
            try await expect(0, in: connection)
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
            try await expect(0, in: killer)
            await killer.close()
        }
    }

    /// A statement that is still to be sent must not be left out of what is committed.
    @Test func aTaskThatIsCancelledBeforeItsQueuedStatementsAreSentDoesNotCommit() async throws {
        try await withTable { connection, _ in
            let task = Task {
                try await connection.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    try await transaction.enqueue("INSERT INTO t VALUES (2)")
                    // SAFETY: the task is this one, which runs.
                    unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                    _ = try? await transaction.execute("SELECT 1")
                }
            }
            let outcome = await task.result
            let error = #expect(throws: PostgresError.self) { try outcome.get() }
            #expect(error?.code == .cancelled)
            try await expect(0, in: connection)
        }
    }

    @Test func aTaskThatIsCancelledWhileAQueuedStatementRunsRollsBack() async throws {
        try await withTable { connection, configuration in
            let observer = try await PostgresConnection.connect(configuration)
            let process = await connection.serverProcessID
            let task = Task {
                try await connection.withTransaction { transaction in
                    try await transaction.enqueue("INSERT INTO t VALUES (1)")
                    try await transaction.enqueue("SELECT pg_sleep(60)")
                }
            }
            try await observer.waitUntil(
                "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", process)
            task.cancel()
            let outcome = await task.result
            let error = #expect(throws: PostgresError.self) { try outcome.get() }
            #expect(error?.code == .cancelled)
            try await expect(0, in: connection)
            #expect(await connection.serverProcessID == process)
            await observer.close()
        }
    }

    // MARK: threads

    /// An actor on its connection's thread talks to it without a change of thread.
    @Test func anActorMayShareItsConnectionsThread() async throws {
        try await withTable { _, configuration in
            let sharer = ThreadSharer()
            let threads = try await sharer.threads(configuration)
            #expect(threads.count == 1)
        }
    }
}

private actor ThreadSharer {
    private let thread = PostgresThread()

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.unownedExecutor }

    /// The threads on which a transaction on a connection of this actor's thread runs.
    func threads(_ configuration: PostgresConfiguration) async throws -> Set<pthread_t> {
        let connection = try await PostgresConnection.connect(configuration, on: thread)
        var threads = [pthread_self()]
        try await connection.withTransaction { transaction in
            threads.append(pthread_self())
            try await transaction.execute("INSERT INTO t VALUES (1)")
            threads.append(pthread_self())
            threads.append(await connection.currentThread())
        }
        await connection.close()
        return Set(threads)
    }
}

extension PostgresConnection {
    fileprivate func currentThread() -> pthread_t { pthread_self() }
}

extension Result where Failure == any Error {
    init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
