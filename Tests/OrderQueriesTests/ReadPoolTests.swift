import EmbeddedPostgres
import HTTP
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import OrderQueries

/// Tests the pool under errors and load.
@Suite struct ReadPoolTests {
    @Test func aViewMayBeReplacedAtAnyMoment() async throws {
        var one = ReadPoolConfiguration()
        one.connections = 1
        try await OrderScene.with(pool: one) { scene in
            try await scene.seed(2)
            #expect(try await scene.order("order-001").status == 200)
            #expect(try await scene.all([]).count == 2)
            // The statements are prepared. Now the view gets a table with other types, like after a switch of versions.
            try await scene.execute(
                """
                CREATE TABLE other AS SELECT * FROM order_summary;
                ALTER TABLE other ALTER item_count TYPE int, ALTER status TYPE varchar(20);
                BEGIN;
                DROP VIEW \(scene.view);
                CREATE VIEW \(scene.view) AS SELECT * FROM other;
                COMMIT;
                """)
            #expect(try await scene.order("order-001").status == 200)
            #expect(try await scene.all([]).count == 2)
        }
    }

    /// Requests continue while the view is switched back and forth.
    @Test func requestsGoOnDuringSwitches() async throws {
        try await OrderScene.with { scene in
            try await scene.seed(5)
            try await scene.execute(
                """
                CREATE TABLE second AS SELECT * FROM order_summary;
                ALTER TABLE second ALTER item_count TYPE int;
                """)
            let definition = try await Self.definition(scene)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        for _ in 0..<100 {
                            let response =
                                worker == 0
                                ? try await scene.list([("limit", "3")]) : try await scene.order("order-00\(worker)")
                            #expect(response.status == 200)
                        }
                    }
                }
                for round in 0..<20 {
                    let body = round % 2 == 0 ? "SELECT * FROM second" : definition
                    try await scene.execute(
                        "BEGIN; DROP VIEW \(scene.view); CREATE VIEW \(scene.view) AS \(body); COMMIT;")
                }
                try await group.waitForAll()
            }
        }
    }

    private static func definition(_ scene: OrderScene) async throws -> String {
        let connection = try await PostgresConnection.connect(scene.postgres)
        let rows = try await connection.execute(.unprepared("SELECT pg_get_viewdef('\(scene.view)'::regclass)"))
        await connection.close()
        return try rows.string(0, 0).replacing(";", with: "")
    }

    @Test func oneThatFailsLeavesTheOthersAlone() async throws {
        var one = ReadPoolConfiguration()
        one.connections = 1
        try await OrderScene.with(pool: one) { scene in
            try await scene.seed(2)
            // While the slow statement holds the connection, the others queue up and then share one round trip.
            async let slow = scene.pool.read("SELECT pg_sleep(0.3)", Parameters(), .quick)
            async let good = scene.order("order-001")
            async let bad = scene.pool.read("SELECT 1 / (length(current_schema()) * 0)", Parameters(), .quick)
            async let other = scene.order("order-002")
            #expect(try await good.status == 200)
            #expect(try await other.status == 200)
            do {
                _ = try await bad
                Issue.record("a division by zero succeeded")
            } catch {
                #expect(error is ReadError)
            }
            _ = try await slow
        }
    }

    @Test func eachGetsItsOwnOfWhatIsReadTogether() async throws {
        var one = ReadPoolConfiguration()
        one.connections = 1
        try await OrderScene.with(pool: one) { scene in
            try await scene.seed(9)
            try await scene.execute(
                """
                CREATE TABLE \(scene.postgres.schema).pairs (key text, value int);
                INSERT INTO \(scene.postgres.schema).pairs VALUES ('a', 1), ('b', 2), ('b', 3);
                """)
            let pairs: Statement = """
                SELECT key, value, array_position($1::text[], key) FROM pairs WHERE key = ANY($1) ORDER BY key, value
                """
            async let slow = scene.pool.read("SELECT pg_sleep(0.25)", Parameters(), .quick)
            try await scene.waitUntilRunning("SELECT pg_sleep(0.25)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in Array(1...9) + [1, 5, 9] {
                    group.addTask {
                        let response = try await scene.order("order-00\(number)")
                        #expect(response.text.contains(#""orderId":"order-00\#(number)""#))
                    }
                }
                group.addTask {
                    await #expect(throws: Problem.self) { try await scene.order("nothing") }
                }
                for (key, values) in ["a": [1], "b": [2, 3], "c": []] as [String: [Int32]] {
                    group.addTask {
                        let rows = try await scene.pool.rows(of: ReadKey(text: key), by: pairs)
                        let read = try rows.range.map { try rows.result.int32($0, 1) }
                        #expect(read == values)
                    }
                }
                try await group.waitForAll()
            }
            _ = try await slow
        }
    }

    /// Pages that are requested at the same time have the same content as when each is requested alone.
    @Test func pagesOfCustomersShareAStatement() async throws {
        var one = ReadPoolConfiguration()
        one.connections = 1
        try await OrderScene.with(pool: one) { scene in
            try await scene.seed(60)
            var queries: [[(String, String)]] = []
            for customer in ["customer-0", "customer-3", "nobody", "' OR true --"] {
                for sort in ["time", "-time"] {
                    let first = [("customer", customer), ("sort", sort), ("limit", "4")]
                    queries += [first, first]
                    var text = try await scene.list(first).text
                    while let cursor = text.firstMatch(of: #/"next":"([^"]*)"/#).map({ String($0.1) }) {
                        queries.append(first + [("cursor", cursor)])
                        text = try await scene.list(queries[queries.count - 1]).text
                    }
                }
            }
            #expect(queries.count == 24)
            var alone: [String] = []
            for query in queries { alone.append(try await scene.list(query).text) }
            async let slow = scene.pool.read("SELECT pg_sleep(0.25)", Parameters(), .quick)
            try await scene.waitUntilRunning("SELECT pg_sleep(0.25)")
            let together = try await withThrowingTaskGroup(of: (Int, String).self) { group in
                for (index, query) in queries.enumerated() {
                    group.addTask { (index, try await scene.list(query).text) }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            for (index, text) in alone.enumerated() { #expect(together[index] == text, "\(queries[index])") }
            _ = try await slow
        }
    }

    @Test func endsWhatTakesTooLong() async throws {
        var limits = ReadPoolConfiguration()
        limits.statementTimeoutMs = 100
        try await OrderScene.with(pool: limits) { scene in
            do throws(ReadError) {
                _ = try await scene.pool.read("SELECT pg_sleep(30)", Parameters(), .search)
                Issue.record("the statement was not ended at its timeout")
            } catch {
                guard case .deadlineExceeded = error else {
                    Issue.record(error)
                    return
                }
                #expect((error.problem as? Problem)?.status == 504)
            }
        }
    }

    @Test func turnsAwayWhatIsTooMuch() async throws {
        var limits = ReadPoolConfiguration()
        (limits.connections, limits.maxQueued, limits.queueTimeoutMs) = (1, 2, 1_000)
        try await OrderScene.with(pool: limits) { scene in
            async let slow = scene.pool.read("SELECT pg_sleep(3)", Parameters(), .search)
            try await scene.waitUntilRunning("SELECT pg_sleep(3)")
            let outcomes = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        do throws(ReadError) {
                            _ = try await scene.pool.read("SELECT 1", Parameters(), .search)
                            return true
                        } catch {
                            guard case .overloaded = error else {
                                Issue.record(error)
                                return false
                            }
                            return false
                        }
                    }
                }
                var outcomes: [Bool] = []
                for await outcome in group { outcomes.append(outcome) }
                return outcomes
            }
            // Some requests found the queue full, and the queued ones timed out.
            #expect(outcomes.contains(false))
            _ = try await slow
            _ = try await scene.pool.read("SELECT 1", Parameters(), .search)
        }
    }

    @Test func slowSearchesDoNotHoldUpOrders() async throws {
        var limits = ReadPoolConfiguration()
        (limits.connections, limits.statementTimeoutMs) = (2, 5_000)
        try await OrderScene.with(pool: limits) { scene in
            try await scene.seed(1)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask { _ = try? await scene.pool.read("SELECT pg_sleep(30)", Parameters(), .search) }
                }
                for _ in 0..<20 {
                    let response = try await scene.order("order-001")
                    #expect(response.status == 200)
                }
                group.cancelAll()
            }
        }
    }

    /// The reports of one connection's activities.
    private final class Told: Sendable {
        private let activities = Mutex<[QueryService.Activity]>([])
        var all: [QueryService.Activity] { activities.withLock { $0 } }
        func append(_ activity: QueryService.Activity) { activities.withLock { $0.append(activity) } }
    }

    /// The pool reports what a connection does while it works and while it waits.
    @Test func tellsWhatItsConnectionsDo() async throws {
        try await TestDatabase.withSchema(migrating: []) { postgres in
            var limits = ReadPoolConfiguration()
            (limits.connections, limits.statementTimeoutMs) = (1, 60_000)
            let pool = ReadPool(postgres, limits, logger: .silent)
            let told = Told()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    await pool.run {
                        _ = ()
                    } onWork: { worker, activity in
                        if worker == 0 { told.append(activity) }
                    }
                }
                defer { group.cancelAll() }
                _ = try await pool.read("SELECT 1", Parameters(), .quick)
                try await eventually { told.all.last == .idle }
                let slow = Task { try await pool.read("SELECT pg_sleep(53)", Parameters(), .search) }
                try await eventually { told.all.suffix(3) == [.moving, .busy, .busy] }
                let (holder, killer) = (slow, try await PostgresConnection.connect(postgres))
                try await killer.execute(
                    .unprepared(
                        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(53)'"))
                await killer.close()
                _ = await holder.result
                try await eventually { told.all.last == .idle }
            }
        }
    }

    @Test func saysThatTheDatabaseIsAwayAndComesBack() async throws {
        try await TestDatabase.withPrivateServer { server, postgres in
            let pool = ReadPool(postgres, ReadPoolConfiguration(), logger: .silent)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await pool.run() }
                defer { group.cancelAll() }
                _ = try await pool.read("SELECT 1", Parameters(), .quick)
                await server.stop(.immediate, keepingData: true)
                try await eventually {
                    do throws(ReadError) {
                        _ = try await pool.read("SELECT 1", Parameters(), .quick)
                        return false
                    } catch {
                        guard case .unavailable = error else { return false }
                        return (error.problem as? Problem)?.status == 503
                    }
                }
                try await server.start()
                try await eventually { (try? await pool.read("SELECT 1", Parameters(), .quick)) != nil }
            }
        }
    }
}
