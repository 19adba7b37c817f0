import CommandKit
import Events
import Inventory
import StreamCore
import Testing

/// The rules of stock in whole pieces, implemented independently of the decider.
struct StockModel: HistoryModel {
    typealias D = InventoryDecider

    enum Step {
        case receive(Int32, tenant: String?)
        case reserve(Int32, String)
        case release(Int32, String)
        case ship(Int32, String, tenant: String?)
    }

    /// Nil before the first receipt.
    private var onHand: Int64?
    private var orders: [String: Int64] = [:]

    static func step(isFirst: Bool, using random: inout SplitMix64) -> Step {
        let order = "o\(Int.random(in: 0..<3, using: &random))"
        let tenant = Int.random(in: 0..<15, using: &random) == 0 ? "other" : nil
        let quantity = Int32.random(in: 0...12, using: &random)
        if isFirst, Int.random(in: 0..<5, using: &random) > 0 { return .receive(quantity, tenant: nil) }
        switch Int.random(in: 0..<10, using: &random) {
        case 0: return .receive(.max, tenant: tenant)
        case 1: return .receive(quantity, tenant: tenant)
        case 2..<6: return .reserve(quantity == 0 ? -1 : quantity, order)
        case 6, 7: return .release(quantity, order)
        default: return .ship(quantity, order, tenant: tenant)
        }
    }

    /// The reservations are derived from the events, and must equal those in the tables.
    static func command(_ step: Step, after events: [InventoryEvent]) -> (InventoryCommand, InventoryFacts) {
        func facts(_ order: String, _ tenant: String? = nil) -> InventoryFacts {
            let reservations = events.compactMap { event in
                switch event.payload {
                case .stockChanged(let change): change.reservation
                }
            }
            let last = reservations.last { $0.orderID == order }
            return InventoryFacts(tenantID: tenant, reservedForOrder: last?.quantity ?? 0)
        }
        return switch step {
        case .receive(let quantity, let tenant): (.receive(quantity), InventoryFacts(tenantID: tenant))
        case .reserve(let quantity, let order): (.reserve(quantity, orderID: order), facts(order))
        case .release(let quantity, let order): (.release(quantity, orderID: order), facts(order))
        case .ship(let quantity, let order, let tenant): (.ship(quantity, orderID: order), facts(order, tenant))
        }
    }

    private var kept: Int64 { orders.values.reduce(0, +) }

    mutating func play(_ step: Step) -> String? {
        switch step {
        case .receive(let quantity, let tenant):
            // The events of these histories have no tenant.
            if onHand != nil, tenant != nil { return "unknown-stock" }
            if quantity < 1 { return "invalid-quantity" }
            let sum = (onHand ?? 0) + Int64(quantity)
            if sum > 1_000_000_000_000 { return "stock-too-large" }
            onHand = sum
        case .reserve(let quantity, let order):
            guard let onHand else { return "unknown-stock" }
            if quantity < 1 { return "invalid-quantity" }
            if onHand - kept < Int64(quantity) { return "insufficient-stock" }
            orders[order, default: 0] += Int64(quantity)
        case .release(let quantity, let order): return take(quantity, order, nil, leaves: false)
        case .ship(let quantity, let order, let tenant): return take(quantity, order, tenant, leaves: true)
        }
        return nil
    }

    private mutating func take(_ quantity: Int32, _ order: String, _ tenant: String?, leaves: Bool) -> String? {
        guard let onHand, tenant == nil else { return "unknown-stock" }
        if quantity < 1 { return "invalid-quantity" }
        if orders[order, default: 0] < Int64(quantity) { return "not-reserved" }
        orders[order, default: 0] -= Int64(quantity)
        if leaves { self.onHand = onHand - Int64(quantity) }
        return nil
    }

    func isLike(_ state: InventoryState?) -> Bool {
        guard let onHand else { return state == nil }
        return state?.onHand == onHand && state?.reserved == kept && onHand - kept >= 0
    }
}

@Suite struct InventoryRulesTests {
    @Test func tenThousandHistoriesAreAsTheModelSays() {
        Histories<StockModel>.check(
            "stock", reaching: ["unknown-stock", "invalid-quantity", "insufficient-stock", "not-reserved"])
    }

    /// No sum of pieces exceeds the maximum stock, so no sum overflows its type.
    @Test func aStockHasALimit() throws {
        var state = InventoryState(
            tenantID: nil, onHand: InventoryDecider.maximumOnHand - 5, reserved: 0,
            updatedAt: Timestamp(microseconds: 1), lastEventID: EventID(high: 0, low: 1))
        #expect(throws: Rejection(InventoryRule.stockTooLarge)) {
            try InventoryDecider.decide(.receive(6), state, InventoryFacts())
        }
        let last = try InventoryDecider.decide(.receive(5), state, InventoryFacts())
        #expect(
            last == [
                .stockChanged(
                    StockChanged(
                        reason: .received, quantity: 5, onHand: InventoryDecider.maximumOnHand, reserved: 0))
            ])
        state.onHand = 3
        #expect(throws: Rejection(InventoryRule.insufficientStock, "3 pieces are available.")) {
            try InventoryDecider.decide(.reserve(.max, orderID: "o"), state, InventoryFacts())
        }
    }

    /// A payload that no version of this domain writes is not decoded.
    @Test func aDamagedEventIsNotRead() throws {
        func reads(_ payload: String) -> Bool {
            let decoded = try? EventDecoder<InventoryEventPayload>.payload(
                payload.utf8Span.span, of: .stockChanged, version: 1)
            return decoded != nil
        }
        let whole = #"{"reason":"reserved","quantity":2,"orderId":"o","reservedForOrder":2,"onHand":3,"reserved":2}"#
        #expect(reads(whole))
        #expect(reads(whole.replacing("}", with: #","available":1,"colour":"red"}"#)))
        for (good, bad) in [
            ("reserved\",", "lost\","), ("\"quantity\":2", "\"quantity\":0"), ("\"quantity\":2", "\"quantity\":1.5"),
            (#""orderId":"o","#, ""), (#""reservedForOrder":2,"#, ""), (#""onHand":3,"#, ""),
            ("\"onHand\":3", "\"onHand\":1"), (#","reserved":2"#, #","reserved":-1"#),
        ] {
            #expect(whole.contains(good) && !reads(whole.replacing(good, with: bad)), "\(bad)")
        }
    }
}
