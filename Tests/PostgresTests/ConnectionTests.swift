import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct ConnectionTests {
    @Test func theSessionIsSetUpAsConfigured() async throws {
        try await TestDatabase.withSchema { configuration in
            var configuration = configuration
            configuration.statementTimeoutMs = 12_345
            configuration.applicationName = "a name with spaces"
            configuration.settings = ["synchronous_commit": "off", "work_mem": "5MB"]
            let connection = try await PostgresConnection.connect(configuration)
            for (name, value) in [
                ("statement_timeout", "12345ms"), ("lock_timeout", "10s"), ("synchronous_commit", "off"),
                ("work_mem", "5MB"), ("application_name", "a name with spaces"), ("client_encoding", "UTF8"),
                ("idle_in_transaction_session_timeout", "1min"),
            ] {
                let rows = try await connection.execute("SELECT current_setting($1)", Parameters { $0.append(name) })
                #expect(try rows.string(0, 0) == value, "\(name)")
            }
            let schema = try await connection.execute("SELECT current_schema()")
            #expect(try schema.string(0, 0) == configuration.schema)
            await connection.close()
        }
    }

    @Test func aRefusedConnectionSaysWhy() async throws {
        try await TestDatabase.withSchema { configuration in
            var wrong = configuration
            wrong.database = "no_such_database"
            let refused = await #expect(throws: PostgresError.self) { try await PostgresConnection.connect(wrong) }
            #expect(refused?.code == .cannotConnect && refused?.sqlState == SQLState("3D000"))
            #expect(refused?.kind == .everything)
        }
        let nowhere = PostgresConfiguration(host: "127.0.0.1", port: 1, user: "nobody", database: "none")
        let unreachable = await #expect(throws: PostgresError.self) { try await PostgresConnection.connect(nowhere) }
        #expect(unreachable?.code == .cannotConnect && unreachable?.kind == .transient)
        let unreadable = #expect(throws: PostgresError.self) { try PostgresConfiguration(url: "postgresql://[x") }
        #expect(unreadable?.code == .configuration)
    }

    @Test func aConfigurationIsPrintedWithoutItsPassword() throws {
        let configuration = try PostgresConfiguration(url: "postgresql://me:secret@h:7/d?sslmode=require")
        #expect(configuration.password == "secret" && configuration.parameters["sslmode"] == "require")
        #expect(!"\(configuration)".contains("secret"))
        #expect(!String(reflecting: configuration).contains("secret"))
    }

    @Test func statementsArePreparedOncePerTextAndTypes() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let statement: Statement = "SELECT $1"
            for _ in 0..<3 {
                try await connection.execute(statement, Parameters { $0.append(Int64(1)) })
                try await connection.execute(statement, Parameters { $0.append("text") })
                try await connection.execute(.unprepared("SELECT 1"))
            }
            let count = try await connection.execute(.unprepared("SELECT count(*) FROM pg_prepared_statements"))
            #expect(try count.int64(0, 0) == 2)
            await connection.close()
        }
    }

    @Test func aStatementThatFailsToRunStaysPrepared() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            for _ in 0..<3 {
                await #expect(throws: PostgresError.self) {
                    try await connection.pipeline([("SELECT 1 / 0", Parameters()), ("SELECT 2", Parameters())])
                }
            }
            let names = try await connection.execute(.unprepared("SELECT statement FROM pg_prepared_statements"))
            #expect(try (0..<names.rowCount).map { try names.string($0, 0) } == ["SELECT 1 / 0"])
            #expect(try await connection.execute("SELECT 2").int32(0, 0) == 2)
            await connection.close()
        }
    }

    @Test func connectingToAServerThatSaysNothingEnds() async throws {
        let server = try SilentServer()
        var configuration = PostgresConfiguration(host: "127.0.0.1", port: server.port, user: "me", database: "d")
        configuration.connectTimeoutMs = 100
        let late = await #expect(throws: PostgresError.self) { try await PostgresConnection.connect(configuration) }
        #expect(late?.code == .cannotConnect && late?.kind == .transient)
        configuration.connectTimeoutMs = 600_000
        let patient = configuration
        let task = Task { try await PostgresConnection.connect(patient) }
        task.cancel()
        let outcome = await task.result
        let error = #expect(throws: PostgresError.self) { try outcome.get() }
        #expect(error?.code == .cancelled)
        withExtendedLifetime(server) {}
    }

    @Test func aChangedTableIsPreparedAgain() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(script: "CREATE TABLE t (a int)")
            try await connection.execute("SELECT * FROM t")
            try await connection.execute(script: "ALTER TABLE t ADD COLUMN b int")
            let error = await #expect(throws: PostgresError.self) { try await connection.execute("SELECT * FROM t") }
            #expect(error?.sqlState == .featureNotSupported && error?.sqlState?.mayBeOutdatedStatement == true)
            let rows = try await connection.execute("SELECT * FROM t")
            #expect(rows.columnCount == 2)
            try await connection.execute(script: "DEALLOCATE ALL")
            await #expect(throws: PostgresError.self) { try await connection.execute("SELECT * FROM t") }
            try await connection.execute("SELECT * FROM t")
            await connection.close()
        }
    }

    @Test func manyDifferentStatementsDoNotPileUp() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            for number in 0..<300 { try await connection.execute(Statement("SELECT \(number)")) }
            let count = try await connection.execute(.unprepared("SELECT count(*) FROM pg_prepared_statements"))
            #expect(try count.int64(0, 0) <= 256)
            await connection.close()
        }
    }

    @Test func aSyntaxErrorLeavesTheSessionUsable() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            for _ in 0..<2 {
                let error = await #expect(throws: PostgresError.self) { try await connection.execute("SELEC 1") }
                #expect(error?.sqlState == SQLState("42601") && error?.sql == "SELEC 1")
            }
            #expect(try await connection.execute("SELECT 1").int32(0, 0) == 1)
            await connection.close()
        }
    }

    @Test func aPipelineAnswersInOrderAndAnErrorUndoesIt() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(script: "CREATE TABLE t (a int PRIMARY KEY)")
            let insert: Statement = "INSERT INTO t VALUES ($1)"
            func one(_ value: Int32) -> (Statement, Parameters) { (insert, Parameters { $0.append(value) }) }
            let results = try await connection.pipeline([one(1), one(2), ("SELECT count(*) FROM t", Parameters())])
            #expect(results.map(\.affectedRows) == [1, 1, 1])
            #expect(try results[2].int64(0, 0) == 2)
            let error = await #expect(throws: PostgresError.self) {
                try await connection.pipeline([one(3), one(1), one(4)])
            }
            #expect(error?.sqlState == .uniqueViolation && error?.constraint == "t_pkey" && error?.kind == .permanent)
            #expect(try await connection.execute("SELECT count(*) FROM t").int64(0, 0) == 2)
            await connection.close()
        }
    }

    @Test func aPipelineLargerThanTheSocketsBuffersDoesNotBlock() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let megabyte = String(repeating: "x", count: 1 << 20)
            let echo: (Statement, Parameters) = ("SELECT $1", Parameters { $0.append(megabyte) })
            let results = try await connection.pipeline(Array(repeating: echo, count: 20))
            #expect(results.count == 20)
            #expect(results.allSatisfy { $0.bytes(0, 0).count == 1 << 20 })
            await connection.close()
        }
    }

    @Test func aDeadlineCancelsTheStatementAndTheSessionGoesOn() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let session = await connection.serverProcessID
            for _ in 0..<3 {
                let error = await #expect(throws: PostgresError.self) {
                    try await connection.execute("SELECT pg_sleep(60)", timeoutMs: 50)
                }
                #expect(error?.code == .deadlineExceeded && error?.sqlState == .queryCanceled)
                #expect(try await connection.execute("SELECT 1").int32(0, 0) == 1)
            }
            #expect(await connection.serverProcessID == session)
            await connection.close()
        }
    }

    @Test func cancellingTheTaskCancelsTheStatement() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let observer = try await PostgresConnection.connect(configuration)
            let session = await connection.serverProcessID
            let sleeper = Task { () -> PostgresError? in
                do throws(PostgresError) {
                    try await connection.execute("SELECT pg_sleep(60)")
                    return nil
                } catch {
                    return error
                }
            }
            try await observer.waitUntilActive(session)
            sleeper.cancel()
            #expect(await sleeper.value?.code == .cancelled)
            #expect(try await connection.execute("SELECT 1").int32(0, 0) == 1)
            await connection.close()
            await observer.close()
        }
    }

    @Test func aSessionThatTheServerEndsIsLostWithItsReason() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            let killer = try await PostgresConnection.connect(configuration)
            let idle = try await PostgresConnection.connect(configuration)
            #expect(await idle.isAlive())
            try await killer.terminate(await idle.serverProcessID)
            #expect(await !idle.isAlive())
            #expect(await idle.lossReason?.sqlState == .adminShutdown)
            try await killer.terminate(await connection.serverProcessID)
            let error = await #expect(throws: PostgresError.self) { try await connection.execute("SELECT 1") }
            #expect(error?.code == .connectionLost && error?.kind == .transient)
            #expect(await !connection.isOpen)
            let again = await #expect(throws: PostgresError.self) { try await connection.execute("SELECT 1") }
            #expect(again?.endsConnection == true)
            await killer.close()
        }
    }

    @Test func anAdvisoryLockIsOneSessions() async throws {
        try await TestDatabase.withSchema { configuration in
            let first = try await PostgresConnection.connect(configuration)
            let second = try await PostgresConnection.connect(configuration)
            let key = AdvisoryLockKey(configuration.schema)
            #expect(try await first.tryAdvisoryLock(key))
            #expect(try await !second.tryAdvisoryLock(key))
            #expect(try await first.advisoryUnlock(key))
            #expect(try await second.tryAdvisoryLock(key))
            try await first.ping(timeoutMs: 60_000)
            await first.close()
            await second.close()
        }
    }
}

extension PostgresConnection {
    /// Waits until the session of this server process runs a statement.
    func waitUntilActive(_ process: Int32) async throws {
        try await waitUntil(
            "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND wait_event IS NOT NULL", process)
    }

    /// Ends another session and waits until it is gone.
    func terminate(_ process: Int32) async throws {
        try await execute("SELECT pg_terminate_backend($1)", Parameters { $0.append(process) })
        try await waitUntil(
            "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", process)
    }

    /// Repeats the query until it returns a row.
    func waitUntil(_ question: Statement, _ process: Int32) async throws {
        try await eventually { try await execute(question, Parameters { $0.append(process) }).rowCount > 0 }
    }
}
