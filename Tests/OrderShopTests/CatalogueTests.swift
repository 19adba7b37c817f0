import CommandKit
import Commands
import Events
import InventoryCommands
import OrderCommands
import Orders
import Postgres
import ProductCommands
import Products
import TestKit
import Testing

@testable import OrderShop

/// Tests what is played in addition to orders: products, their stock, and customers.
@Suite struct CatalogueTests {
    private static let domains = [
        OrderCommands.domain(OrderPolicy()), ProductCommands.domain(.standard), InventoryCommands.domain,
        CustomerCommands.domain,
    ]

    private static func play(_ database: PostgresConfiguration, orders: Int) async throws -> ShopLoad.Totals {
        var configuration = ShopLoadTests.configuration(orders: orders)
        configuration.ordersPerSecond = 400
        configuration.orderLifetime = .milliseconds(200)
        configuration.playsCatalogue = true
        return try await ShopLoad(configuration, database: database).run()
    }

    /// Counts events whose sequence is not their position among the events of their aggregate.
    private static let disordered = """
        SELECT count(*) FROM (
            SELECT sequence, row_number() OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY id) AS place
            FROM outbox
        ) AS o WHERE sequence <> place
        """

    @Test func theSameSeedGivesTheSameChangesOfDistinctAggregates() {
        var (first, second) = (
            CataloguePlan(seed: 7, run: 1, customers: 50), CataloguePlan(seed: 7, run: 1, customers: 50)
        )
        var other = CataloguePlan(seed: 8, run: 1, customers: 50)
        let changes = first.changes(300)
        #expect(changes == second.changes(300))
        #expect(changes != other.changes(300))
        #expect(Set(changes.map { $0[0].aggregate }).count == changes.count)
        #expect(changes.allSatisfy { change in change.allSatisfy { $0.aggregate == change[0].aggregate } })
    }

    /// The first event of each product, stock and customer in the orders is written once, and changes follow with the
    /// next sequences. The tables agree with the events.
    @Test func eachAggregateHasItsSequencesWithoutGapsOverTwoRuns() async throws {
        try await CommandScene.with(Self.domains) { scene in
            var events = 0
            for orders in [40, 60] {
                let totals = try await Self.play(scene.database, orders: orders)
                #expect(totals.finishedOrders == orders)
                events += totals.events
            }
            #expect(try await scene.number("SELECT count(*) FROM outbox") == Int64(events))
            #expect(try await scene.number(Self.disordered) == 0)
            let products = Catalogue.standard.products.count
            #expect(
                try await scene.rows(
                    """
                    SELECT event_type, count(*)::text FROM outbox
                    WHERE sequence = 1 AND aggregate_type IN ('Product', 'Inventory', 'Customer') GROUP BY event_type
                    ORDER BY 1
                    """) == ["CustomerRegistered 200", "ProductCreated \(products)", "StockChanged \(products)"])
            for type in ["ProductRated", "ProductPriceChanged"] {
                #expect(try await scene.number("SELECT count(*) FROM outbox WHERE event_type = '\(type)'") > 0)
            }
            for (table, id, kind) in [
                ("products", "product_id", "Product"), ("inventory", "product_id", "Inventory"),
                ("customers", "customer_id", "Customer"),
            ] {
                let behind = """
                    SELECT count(*) FROM \(table) AS t WHERE version <> (
                        SELECT max(sequence) FROM outbox WHERE aggregate_type = '\(kind)' AND aggregate_id = t.\(id))
                    """
                #expect(try await scene.number(behind) == 0, "\(table)")
            }
            // All products that orders name exist.
            #expect(
                try await scene.number(
                    "SELECT count(*) FROM order_items WHERE product_id NOT IN (SELECT product_id FROM products)") == 0)
            #expect(try await scene.number("SELECT count(*) FROM inventory_reservations") == 0)
        }
    }

    /// command-service and the load change the same aggregates, one after the other and at once. Each aggregate has one
    /// sequence.
    @Test func commandsGoOnWhereTheLoadHasStopped() async throws {
        try await CommandScene.with(Self.domains) { scene in
            _ = try await Self.play(scene.database, orders: 20)
            for product in Catalogue.standard.products.prefix(20) {
                let version = try await scene.number("SELECT version FROM products WHERE product_id = '\(product.id)'")
                let rated = try await scene.call("POST", "/v1/products/\(product.id)/ratings", #"{"rating":5}"#)
                #expect(rated["ETag"] == "\"\(version + 1)\"", "\(rated.text)")
            }
            #expect(try await scene.call("POST", "/v1/inventory/prod-0001/receipts", #"{"quantity":5}"#).status == 200)
            #expect(try await scene.call("POST", "/v1/customers/cust-000001/forget").status == 200)
            async let totals = Self.play(scene.database, orders: 100)
            for number in 0..<200 {
                let product = Catalogue.standard.products[number % 20].id
                #expect(try await scene.call("POST", "/v1/products/\(product)/ratings", #"{"rating":3}"#).status == 200)
            }
            #expect(try await totals.finishedOrders == 100)
            #expect(try await scene.number(Self.disordered) == 0)
            #expect(try await scene.number("SELECT count(*) FROM outbox WHERE event_type = 'ProductRated'") >= 220)
            // The forgotten customer was not registered again.
            #expect(
                try await scene.rows("SELECT status FROM customers WHERE customer_id = 'cust-000001'") == ["forgotten"])
        }
    }

    /// Earlier versions counted sequences in a separate table, and other programs wrote customers.
    @Test func whatWasCountedElsewhereIsContinued() async throws {
        let script = """
            INSERT INTO shop_aggregates VALUES ('Product', 'prod-0001', 7), ('Product', 'prod-0002', 3),
                ('Inventory', 'prod-0001', 9), ('Customer', 'cust-000001', 4);
            INSERT INTO products VALUES ('prod-0002', NULL, '{"name":"Mine","tags":[]}', 5, 'EUR', 'listed', 5, now(),
                gen_random_uuid());
            INSERT INTO customers SELECT 'cust-00000' || n, 'name', 'mail@example.com', 'DE' FROM generate_series(1, 2) AS n;
            """
        try await CommandScene.with(Self.domains, script: script) { scene in
            _ = try await Self.play(scene.database, orders: 1)
            let first = { (kind: String, id: String) in
                try await scene.rows(
                    """
                    SELECT event_type, sequence::text FROM outbox
                    WHERE aggregate_type = '\(kind)' AND aggregate_id = '\(id)' ORDER BY id LIMIT 2
                    """)
            }
            #expect(try await first("Product", "prod-0001") == ["ProductChanged 8", "ProductPriceChanged 9"])
            #expect(try await first("Inventory", "prod-0001").first == "StockChanged 10")
            // A customer with earlier events is not registered again. A customer without events is.
            #expect(try await first("Customer", "cust-000001").first != "CustomerRegistered 1")
            #expect(try await first("Customer", "cust-000002").first == "CustomerChanged 1")
            #expect(try await first("Customer", "cust-000003").first == "CustomerRegistered 1")
            #expect(
                try await scene.number("SELECT version FROM customers WHERE customer_id = 'cust-000001'") >= 4)
            #expect(
                try await scene.number("SELECT version FROM products WHERE product_id = 'prod-0002'") >= 5)
            #expect(try await scene.number("SELECT count(*) FROM shop_aggregates") == 0)
        }
    }
}
