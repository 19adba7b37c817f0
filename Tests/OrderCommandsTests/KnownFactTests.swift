import CommandKit
import Commands
import Events
import OrderCommands
import Orders
import Postgres
import ProductCommands
import TestKit
import Testing

/// Tests orders for known customers and of products in the catalogue, and the facts about both that a process caches.
@Suite struct KnownFactTests {
    private typealias Rules = OrderRulesTests

    private static let domains = [
        OrderCommands.domain(OrderPolicy(requiresKnownProducts: true)), CustomerCommands.domain,
        ProductCommands.domain(.standard),
    ]

    /// Two customers, two products without a tenant, and one product of a tenant.
    private static let script = """
        INSERT INTO customers SELECT 'c' || n, 'name', 'mail', 'DE' FROM generate_series(1, 2) AS n;
        INSERT INTO products SELECT p, CASE p WHEN 'mine' THEN 't' END, '{"name":"Cup","tags":[]}', 5, 'EUR', 'listed', 1,
            now(), gen_random_uuid()
        FROM unnest(ARRAY['p1', 'p2', 'mine']) AS p;
        """

    private static func with(_ body: (CommandScene) async throws -> Void) async throws {
        try await CommandScene.with(domains, script: script) { scene in
            try await eventually { scene.bus.keepsFacts }
            try await body(scene)
        }
    }

    private static func item(_ product: String) -> String {
        #"{"productId":"\#(product)","name":"Cup","quantity":1,"unitPrice":"12.50"}"#
    }

    private static func order(_ products: [String]) -> String {
        """
        {"customerId":"c1","currency":"EUR","items":[\(products.map(item).joined(separator: ","))],\
        "shippingAddress":{"name":"A","street":"B","city":"C","postalCode":"D","country":"DE"}}
        """
    }

    @Test func theRulesAreToldByTheirOwnProblems() async throws {
        try await Self.with { scene in
            let made = try await scene.call("POST", "/v1/orders", Self.order(["p1"]))
            #expect(made.status == 201, "\(made.text)")
            let items = try #require(made["Location"]) + "/items"
            #expect(try await scene.call("POST", items, Self.item("p2")).status == 200)
            #expect(try await scene.call("POST", "/v1/products/p2/retire").status == 200)
            for (product, type) in [
                ("none", "item-of-unknown-product"), ("p2", "item-of-retired-product"),
                // A product of another tenant is unknown.
                ("mine", "item-of-unknown-product"),
            ] {
                for (path, body) in [("/v1/orders", Self.order(["p1", product])), (items, Self.item(product))] {
                    let answer = try await scene.call("POST", path, body)
                    #expect(answer.status == 422 && answer.type == type, "\(product): \(answer.text)")
                }
            }
            #expect(try await scene.call("POST", "/v1/orders", Self.order(["p1", "mine"]), tenant: "t").status == 201)
            // A line of an order can be removed even if its product is retired.
            #expect(try await scene.call("DELETE", items + "/p2").status == 200)
            #expect(try await scene.number("SELECT count(*) FROM orders") == 2)
        }
    }

    /// Without the setting an order may name any product. The table of products need not exist.
    @Test func withoutTheRuleAnyProductWillDo() async throws {
        try await OrderScene.with { scene in
            let tables = try await scene.number(
                "SELECT count(*) FROM pg_tables WHERE tablename = 'products' AND schemaname = current_schema()")
            #expect(tables == 0)
            #expect(try await scene.send(scene.create("o1", [Rules.line("none", 1, 500)])) == "1")
            #expect(try await scene.send(AddItem(orderID: "o1", line: Rules.line("nothing", 1, 500))) == "2")
        }
    }

    /// The number of reads of the tables of products and customers in PostgreSQL for a number of commands.
    private static func reads(
        for commands: Int, cachedFacts: Int, _ scene: CommandScene
    ) async throws -> (products: Int64, customers: Int64) {
        var database = scene.database
        database.applicationName = "\(database.schema)-\(cachedFacts)"
        let count = { (table: String) in
            try await scene.number(
                """
                SELECT coalesce(idx_scan, 0) + coalesce(seq_scan, 0) FROM pg_stat_user_tables
                WHERE schemaname = current_schema() AND relname = '\(table)'
                """)
        }
        let before = (products: try await count("products"), customers: try await count("customers"))
        let bus = try CommandScene.bus(database, domains) { $0.cachedFacts = cachedFacts }
        try await CommandScene.running(bus) {
            if cachedFacts > 0 { try await eventually { bus.keepsFacts } }
            for number in 0..<commands {
                try await bus.send(scene.create("o-\(cachedFacts)-\(number)", [Rules.line("p1", 1, 500)]))
            }
        }
        // A session reports its statistics before it ends.
        try await eventually {
            try await scene.number(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = '\(database.applicationName)'") == 0
        }
        return (try await count("products") - before.products, try await count("customers") - before.customers)
    }

    @Test func whatIsKeptNeedNotBeRead() async throws {
        try await Self.with { scene in
            let without = try await Self.reads(for: 100, cachedFacts: 0, scene)
            let with = try await Self.reads(for: 100, cachedFacts: 1_000, scene)
            print("reads for 100 orders: \(without) from the database, \(with) with facts in memory")
            #expect(without.products >= 100 && with.products == 1)
            // The table of orders has a foreign key to customers, so PostgreSQL reads the customer once for each order.
            #expect(without.customers >= 200 && (101..<110).contains(with.customers))
            #expect(try await scene.number("SELECT count(*) FROM orders") == 200)
        }
    }

    /// A command of this process ends a cached fact immediately. A command of another process, or an operator's SQL,
    /// ends it when the notification arrives.
    @Test func aChangeEndsWhatIsKept() async throws {
        try await Self.with { scene in
            let order = { (id: String, product: String, customer: String) in
                try await scene.send(scene.create(id, customer: customer, [Rules.line(product, 1, 500)]))
            }
            #expect(try await order("o1", "p1", "c1") == "1")
            #expect(try await order("o2", "p2", "c2") == "1")
            #expect(try await scene.send(RetireProduct(productID: "p1")) == "2")
            #expect(try await order("o3", "p1", "c1") == "item-of-retired-product")
            #expect(try await scene.send(ForgetCustomer(customerID: "c1")) == "1")
            #expect(try await order("o4", "p2", "c1") == "unknown-customer")

            let other = try CommandScene.bus(scene.database, Self.domains)
            try await CommandScene.running(other) { try await other.send(RetireProduct(productID: "p2")) }
            try await eventually { try await order(NewIdentity.make("o"), "p2", "c2") == "item-of-retired-product" }
            try await scene.connection.execute(script: "UPDATE products SET status = 'listed' WHERE product_id = 'p2'")
            #expect(try await order("o5", "p2", "c2") == "1")
            try await scene.connection.execute(script: "UPDATE customers SET status = 'forgotten'")
            try await eventually { try await order(NewIdentity.make("o"), "p2", "c2") == "unknown-customer" }
            // A change of a column that no rule reads ends no cached fact.
            try await scene.connection.execute(script: "UPDATE customers SET status = 'registered'")
            #expect(try await order("o6", "p2", "c2") == "1")
            try await scene.connection.execute(script: "TRUNCATE products")
            try await eventually {
                try await order(NewIdentity.make("o"), "p2", "c2") == "item-of-unknown-product"
            }
        }
    }

    /// A new session may be with a server that has other data, and the session that listens may end later.
    @Test func aNewSessionTrustsNothingThatWasKept() async throws {
        try await CommandScene.with(Self.domains, script: Self.script) { scene in
            var database = scene.database
            database.applicationName = scene.database.schema
            let bus = try CommandScene.bus(database, Self.domains) { $0.connections = 1 }
            try await CommandScene.running(bus) {
                try await eventually { bus.keepsFacts }
                try await bus.send(scene.create("o1", [Rules.line("p1", 1, 500)]))
                try await scene.connection.execute(
                    script: """
                        SET session_replication_role = replica;
                        UPDATE products SET status = 'retired' WHERE product_id = 'p1';
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE application_name = current_schema() AND query NOT LIKE 'LISTEN%';
                        """)
                // The command that meets the lost session reads all that it needs. The next one must do so, too.
                try await bus.send(scene.create("o2", [Rules.line("p2", 1, 500)]))
                guard
                    case .refused(let refusal) =
                        try await bus.send(scene.create("o3", [Rules.line("p1", 1, 500)])).verdict
                else { throw CancellationError() }
                #expect(refusal.rule == "item-of-retired-product")
                #expect(bus.keepsFacts)
            }
        }
    }

    /// When the listening session ends, all cached facts are dropped, because notifications may have been lost.
    @Test func withoutNewsNothingIsKept() async throws {
        try await CommandScene.with(Self.domains, script: Self.script) { scene in
            var database = scene.database
            database.applicationName = scene.database.schema
            let bus = try CommandScene.bus(database, Self.domains)
            try await CommandScene.running(bus) {
                try await eventually { bus.keepsFacts }
                try await bus.send(scene.create("o1", [Rules.line("p1", 1, 500)]))
                // In this mode the triggers do not fire, so no notification is sent.
                try await scene.connection.execute(
                    script: """
                        SET session_replication_role = replica;
                        UPDATE products SET status = 'retired';
                        """)
                let stale = try await bus.send(scene.create("o2", [Rules.line("p1", 1, 500)]))
                guard case .accepted = stale.verdict else { throw Unexpected(outcome: stale) }
                try await scene.connection.execute(
                    script: """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE application_name = current_schema() AND query LIKE 'LISTEN%'
                        """)
                try await eventually {
                    let late = try await bus.send(
                        scene.create(NewIdentity.make("o"), [Rules.line("p1", 1, 500)]))
                    guard case .refused(let refusal) = late.verdict else { return false }
                    return refusal.rule == "item-of-retired-product"
                }
                try await eventually { bus.keepsFacts }
            }
        }
    }

    private struct Unexpected: Error {
        let outcome: CommandOutcome
    }

    /// The database refuses what the cached facts allowed. The second attempt reads the database, and the client gets
    /// the rule's answer.
    @Test func aCustomerThatIsGoneIsNotFoundAgainInMemory() async throws {
        try await Self.with { scene in
            #expect(try await scene.send(scene.create("o1", customer: "c2", [Rules.line("p1", 1, 500)])) == "1")
            try await scene.connection.execute(
                script: """
                    SET session_replication_role = replica;
                    DELETE FROM order_items; DELETE FROM orders; DELETE FROM customers WHERE customer_id = 'c2';
                    """)
            let answer = try await scene.send(scene.create("o2", customer: "c2", [Rules.line("p1", 1, 500)]))
            #expect(answer == "unknown-customer")
        }
    }
}
