import CommandKit
import Events
import Orders
import StreamCore
import Testing

/// The rules of shipments, implemented independently of the decider.
struct ShipmentModel: HistoryModel {
    typealias D = ShipmentDecider

    enum Order: String, CaseIterable {
        case none, created, confirmed, cancelled, foreign
    }

    enum Step {
        case create(Order)
        case deliver(tenant: String?)
    }

    private var status: String?

    static func step(isFirst: Bool, using random: inout SplitMix64) -> Step {
        if Int.random(in: 0..<3, using: &random) > 0 {
            return .deliver(tenant: Int.random(in: 0..<4, using: &random) == 0 ? "other" : nil)
        }
        return .create(Order.allCases.randomElement(using: &random) ?? .none)
    }

    static func command(_ step: Step, after _: [OrderEvent]) -> (ShipmentCommand, ShipmentDecisionFacts) {
        switch step {
        case .deliver(let tenant): (.deliver, ShipmentDecisionFacts(tenantID: tenant))
        case .create(let order): (.create(parcel), ShipmentDecisionFacts(order: state(of: order)))
        }
    }

    static let parcel = ShipmentCreated(orderID: "o", carrier: "DHL", trackingNumber: "T1")

    static func state(of order: Order) -> OrderState? {
        let status: OrderState.Status
        switch order {
        case .none: return nil
        case .created: status = .created
        case .confirmed, .foreign: status = .confirmed
        case .cancelled: status = .cancelled
        }
        let at = Timestamp(microseconds: 1)
        return OrderState(
            tenantID: order == .foreign ? "other" : nil, customerID: "c", currency: OrderRulesTests.euro,
            status: status, lines: [OrderRulesTests.line("p", 1, 100)], shippingAddress: OrderRulesTests.address,
            createdAt: at, updatedAt: at, lastEventID: EventID(high: 0, low: 1))
    }

    mutating func play(_ step: Step) -> String? {
        switch step {
        case .create(let order):
            if status != nil { return "shipment-exists" }
            if order == .none || order == .foreign { return "shipment-without-order" }
            if order != .confirmed { return "order-not-confirmed" }
            status = "created"
        case .deliver(let tenant):
            if status == nil || tenant != nil { return "unknown-shipment" }
            if status == "delivered" { return "shipment-delivered" }
            status = "delivered"
        }
        return nil
    }

    func isLike(_ state: ShipmentState?) -> Bool {
        guard let status else { return state == nil }
        return state?.parcel == Self.parcel && (state?.delivered != nil) == (status == "delivered")
    }
}

@Suite struct ShipmentRulesTests {
    @Test func tenThousandHistoriesAreAsTheModelSays() {
        Histories<ShipmentModel>.check("shipments", reaching: ShipmentRule.allCases.map(\.rawValue))
    }
}
