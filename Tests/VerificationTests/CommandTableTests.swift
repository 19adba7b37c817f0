import CommandKit
import Commands
import Events
import OrderCommands
import OrderSummary
import Orders
import Postgres
import StreamCore
import Testing
import Verification

/// The rows that commands write into the shop's tables agree with what their events tell the read model.
@Suite struct CommandTableTests {
    private static func euros(_ cents: Int) -> Money {
        guard let euro = Currency("EUR") else { preconditionFailure("EUR is a currency") }
        return Money(DecimalAmount(coefficient: Int128(cents), scale: 2), euro)
    }

    /// Orders with payments in all states: authorized, captured in part, failed, refunded in part, and refunded
    /// completely.
    @Test func theTablesOfCommandsAreWhatTheirEventsSay() async throws {
        let domains = [
            OrderCommands.domain(OrderPolicy()), PaymentCommands.domain(.standard), ShipmentCommands.domain,
        ]
        try await CommandScene.with(
            domains, migrating: ["projections", "order-summary"],
            script: "INSERT INTO customers VALUES ('c', 'name', 'mail', 'DE')"
        ) { scene in
            for number in 0..<40 { try await Self.play(number, scene) }
            let connection = scene.connection
            let events = try await TableTests.outbox(connection)
            #expect(
                Set(events.map(\.type)).isSuperset(of: [
                    .paymentAuthorized, .paymentCompleted, .paymentFailed, .paymentRefunded, .shipmentDelivered,
                ]))
            try await TableTests.project(events.shuffled(), connection)
            let verdict = try await TableTests.verdict(scene.database)
            #expect(verdict.isEqual, "\(verdict)")
            #expect(verdict["order_summary"]?.checked == 40)
            // The verification finds a wrong sum.
            try await connection.execute(script: "UPDATE payment_refunds SET amount = amount / 2")
            #expect(try await !TableTests.verdict(scene.database).isEqual)
        }
    }

    private static func play(_ number: Int, _ scene: CommandScene) async throws {
        let (order, payment) = ("o\(number)", "p\(number)")
        let line = OrderLine(productID: "p", name: "P", quantity: 1, unitPrice: euros(5_000).amount)
        let address = ShippingAddress(name: "A", street: "B", city: "C", postalCode: "D", country: "DE")
        let created = OrderCreated(
            customerID: "c", currency: euros(0).currency, items: [line], shippingAddress: address)
        var steps: [any Command] = [CreateOrder(orderID: order, order: created), ConfirmOrder(orderID: order)]
        let authorized = PaymentAuthorized(orderID: order, money: euros(5_000), method: "card")
        steps.append(AuthorizePayment(paymentID: payment, payment: authorized))
        switch number % 5 {
        case 0: break
        case 1: steps.append(FailPayment(paymentID: payment, reason: "declined"))
        default:
            steps.append(CapturePayment(paymentID: payment, money: euros(4_000)))
            for _ in 0..<number % 5 - 2 {
                steps.append(RefundPayment(paymentID: payment, money: euros(2_000), reason: "returned \(number)"))
            }
        }
        if number.isMultiple(of: 3) {
            let parcel = ShipmentCreated(orderID: order, carrier: "DHL", trackingNumber: "T")
            steps.append(CreateShipment(shipmentID: "s\(number)", parcel: parcel))
            if number.isMultiple(of: 2) { steps.append(DeliverShipment(shipmentID: "s\(number)")) }
        }
        for step in steps {
            let answer = try await scene.send(step)
            #expect(Int64(answer) != nil, "\(step): \(answer)")
        }
    }
}
