import Events
import Foundation
import Logging
import Orders
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Dashboard

@Suite struct PrunerTests {
    /// The pruner deletes old minutes and leaves hours and days unchanged. A late event of a deleted minute only counts
    /// in its hour and its day.
    @Test func prunedMinutesLeaveTheTotals() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "dashboard"]) { database in
            let connection = try await PostgresConnection.connect(database)
            let now = Int64(Date().timeIntervalSince1970) * 1_000_000
            let hour: Int64 = 3_600_000_000
            try await write(
                [created("old", at: now - 3 * hour), created("new", at: now - hour / 2)], DashboardWriter(), connection)
            #expect(try await sums(connection) == ["day": 2, "hour": 2, "minute": 2])

            var retention = DashboardRetention()
            retention.minutesKeptHours = 2
            let pruner = DashboardPruner(retention: retention, postgres: database, logger: Self.silent)
            #expect(try await pruner.pass() == 1)
            #expect(try await sums(connection) == ["day": 2, "hour": 2, "minute": 1])

            try await write([created("late", at: now - 3 * hour)], DashboardWriter(), connection)
            #expect(try await sums(connection) == ["day": 3, "hour": 3, "minute": 1])
            #expect(try await pruner.pass() == 0)
            // A longer retention does not restore deleted minutes, not even in part.
            let lenient = DashboardPruner(retention: DashboardRetention(), postgres: database, logger: Self.silent)
            #expect(try await lenient.pass() == 0)
            try await write([created("later", at: now - 3 * hour)], DashboardWriter(), connection)
            #expect(try await sums(connection) == ["day": 4, "hour": 4, "minute": 1])
            await connection.close()
        }
    }

    /// A transaction that began before the horizon moved may write rows before the horizon. Readers do not see these
    /// rows, and the next pass deletes them.
    @Test func whatIsWrittenBehindTheHorizonIsNotSeen() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "dashboard"]) { database in
            let connection = try await PostgresConnection.connect(database)
            let now = Int64(Date().timeIntervalSince1970) * 1_000_000
            let pruner = DashboardPruner(retention: DashboardRetention(), postgres: database, logger: Self.silent)
            try await connection.withTransaction { transaction in
                let events = [created("old", at: now - 72 * 3_600_000_000)]
                try await DashboardWriter().write(OrderFactsFold(events).changes, in: transaction)
                #expect(try await pruner.pass() == 0)
            }
            #expect(try await sums(connection) == ["day": 1, "hour": 1])
            #expect(try await pruner.pass() == 1)
            #expect(try await sums(connection) == ["day": 1, "hour": 1])
            await connection.close()
        }
    }

    /// Passes and writers run at the same time. There is no deadlock, and the days are correct.
    @Test func writersAndPassesDoNotHoldEachOtherUp() async throws {
        try await TestDatabase.withSchema(migrating: ["projections", "dashboard"]) { database in
            let now = Int64(Date().timeIntervalSince1970) * 1_000_000
            let pruner = DashboardPruner(retention: DashboardRetention(), postgres: database, logger: Self.silent)
            let events = (0..<400).map { created("order-\($0)", at: now - Int64($0) * 900_000_000) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for owner in 0..<2 {
                    group.addTask {
                        var random = SplitMix64(seed: UInt64(owner))
                        let own = events.indices.filter { $0 % 2 == owner }.map { events[$0] }
                        let connection = try await PostgresConnection.connect(database)
                        for batch in own.shuffled(using: &random).splitAtRandom(largest: 20, using: &random) {
                            try await write(batch, DashboardWriter(), connection)
                        }
                        await connection.close()
                    }
                    group.addTask {
                        for _ in 0..<20 { _ = try await pruner.pass() }
                    }
                }
                try await group.waitForAll()
            }
            _ = try await pruner.pass()
            let connection = try await PostgresConnection.connect(database)
            let sums = try await sums(connection)
            #expect(sums["day"] == 400 && sums["hour"] == 400)
            // The orders are a quarter of an hour apart, and minutes are kept for two days.
            #expect((190...194).contains(sums["minute"] ?? 0))
            await connection.close()
        }
    }

    @Test func settingsOutOfRangeAreNamed() {
        var retention = DashboardRetention()
        #expect(retention.validate().isEmpty)
        retention.minutesKeptHours = 0
        retention.hoursKeptDays = 40_000
        retention.intervalS = -1
        #expect(retention.validate().count == 3)
    }

    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func created(_ orderID: String, at microseconds: Int64) -> OrderEvent {
        OrderEvent(
            identity: EventIdentity(
                eventID: EventID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max)),
                eventType: "OrderCreated", aggregateID: orderID, sequence: 1,
                timestamp: Timestamp(microseconds: microseconds)),
            payload: .orderCreated(
                OrderCreated(
                    customerID: "customer", currency: RandomOrders.currencies[0], items: [],
                    shippingAddress: RandomOrders.address)))
    }

    /// Number of created orders by resolution, as readers see it.
    private func sums(_ connection: PostgresConnection) async throws -> [String: Int64] {
        let result = try await connection.execute(
            "SELECT resolution, sum(orders_created)::bigint FROM dashboard_counters GROUP BY resolution")
        var sums: [String: Int64] = [:]
        for row in 0..<result.rowCount { sums[try result.string(row, 0)] = try result.int64(row, 1) }
        return sums
    }
}
