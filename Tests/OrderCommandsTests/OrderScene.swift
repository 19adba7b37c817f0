import CommandKit
import Commands
import Events
import OrderCommands
import Orders

/// A schema with the shop's tables, three customers and a running bus.
enum OrderScene {
    static func with(_ body: (CommandScene) async throws -> Void) async throws {
        try await CommandScene.with(
            [OrderCommands.domain(OrderPolicy()), PaymentCommands.domain(.standard), ShipmentCommands.domain],
            script: """
                INSERT INTO customers SELECT 'c' || n, 'name', 'mail', 'DE' FROM generate_series(1, 3) AS n;
                INSERT INTO customer_credit VALUES ('c2', 'EUR', 100);
                """,
            body)
    }
}

extension CommandScene {
    func create(_ id: String, customer: String = "c1", _ lines: [OrderLine]) -> CreateOrder {
        CreateOrder(
            orderID: id,
            order: OrderCreated(
                customerID: customer, currency: OrderRulesTests.euro, items: lines,
                shippingAddress: OrderRulesTests.address))
    }
}
