import Migrations
import Postgres
import TestKit
import Testing

@testable import OrderShop

/// What is played around the orders: products, their stock, and customers.
@Suite struct CatalogueTests {
    private func column(_ database: PostgresConfiguration, _ sql: String) async throws -> [String] {
        let connection = try await PostgresConnection.connect(database)
        let rows = try await connection.execute(.unprepared(sql))
        let texts = try (0..<rows.rowCount).map { try rows.string($0, 0) }
        await connection.close()
        return texts
    }

    @Test func theSameSeedGivesTheSameChangesOfDistinctAggregates() {
        var (first, second) = (CatalogueEvents(seed: 7, customers: 50), CatalogueEvents(seed: 7, customers: 50))
        var other = CatalogueEvents(seed: 8, customers: 50)
        let changes = first.changes(300)
        #expect(changes == second.changes(300))
        #expect(changes != other.changes(300))
        #expect(Set(changes.map { $0.aggregateType + $0.aggregateID }).count == changes.count)
        let types = Set(changes.map(\.type))
        #expect(types == ["ProductRated", "ProductPriceChanged", "ProductChanged", "StockChanged", "CustomerChanged"])
        let created = CatalogueEvents.products
        #expect(Set(created.map { $0.aggregateType + $0.aggregateID }).count == created.count)
        #expect(created.count(where: { $0.type == "ProductCreated" }) == Catalogue.standard.products.count)
    }

    /// Everything that orders name is told of once, and changes follow with the next sequences.
    @Test func eachAggregateHasItsSequencesWithoutGapsOverTwoRuns() async throws {
        try await TestDatabase.withSchema(migrating: ["orders", "outbox"]) { database in
            for orders in [40, 60] {
                var configuration = ShopLoadTests.configuration(orders: orders)
                configuration.ordersPerSecond = 400
                configuration.orderLifetime = .milliseconds(200)
                configuration.playsCatalogue = true
                let totals = try await ShopLoad(configuration, database: database).run()
                #expect(totals.finishedOrders == orders)
            }
            let disordered = """
                SELECT count(*)::text FROM (
                    SELECT sequence, row_number() OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY id) AS place
                    FROM outbox
                ) AS o WHERE sequence <> place
                """
            #expect(try await column(database, disordered) == ["0"])
            let firsts = """
                SELECT event_type || ' ' || count(*) FROM outbox
                WHERE sequence = 1 AND aggregate_type IN ('Product', 'Inventory', 'Customer') GROUP BY event_type
                ORDER BY 1
                """
            let products = Catalogue.standard.products.count
            #expect(
                try await column(database, firsts) == [
                    "CustomerRegistered 200", "ProductCreated \(products)", "StockChanged \(products)",
                ])
            let changes = "SELECT count(*)::text FROM outbox WHERE event_type = 'ProductRated'"
            #expect(try await column(database, changes) != ["0"])
            // What orders name is there.
            let unknown = """
                SELECT count(*)::text FROM order_items AS i WHERE NOT EXISTS (
                    SELECT FROM shop_aggregates WHERE aggregate_type = 'Product' AND aggregate_id = i.product_id)
                """
            #expect(try await column(database, unknown) == ["0"])
        }
    }
}
