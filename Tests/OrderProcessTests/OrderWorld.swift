import Commands
import Events
import InventoryCommands
import OrderProcess
import Orders
import StreamCore

@testable import ProcessManagers

/// A model of one order with its payment, shipment and stock, and of the order's process. It implements the rules a
/// second time, independently of the deciders. It is a value, so a rolled-back transaction is a copy that is dropped.
struct OrderWorld {
    enum Payment: Equatable { case none, authorized, captured, failed }

    /// Acts of others, and things that happen to the process.
    enum Act: CaseIterable, Hashable {
        case deliverOrderEvent, deliverPaymentEvent, repeatOrderEvent, repeatPaymentEvent
        case cancelOrder, capturePayment, failPayment, refundSome, shipByHand, receiveStock, loseStock
        case passTime, handleDeadline
    }

    static let policyStart = Timestamp(microseconds: 1_000_000_000)

    let policy: OrderProcessPolicy
    private(set) var now = policyStart
    // The write model.
    private(set) var isCancelled = false
    private(set) var shipments = 0
    private(set) var isShippedByHand = false
    private(set) var available = 1
    private(set) var isReserved = false
    private(set) var payment = Payment.none
    private(set) var captures = 0
    /// In quarters of the amount.
    private(set) var refunded = 0
    // The topics, and the position of the process in them.
    private var orderEvents: [OrderEventPayload] = [.orderConfirmed]
    private var paymentEvents: [OrderEventPayload] = []
    private var nextOrderEvent = 0
    private var nextPaymentEvent = 0
    /// The row in the table of processes.
    private(set) var stored: StoredProcess<OrderProcessState>?

    static let orderID = "o"

    init(_ rules: OrderProcessRules) { policy = OrderProcessPolicy(rules) }

    private static let euro = Money(DecimalAmount(coefficient: 4, scale: 0), ShopCurrency.euro)

    private static func setback(_ reason: String) -> PaymentSetback {
        PaymentSetback(orderID: orderID, money: euro, reason: reason)
    }

    // MARK: acts of others

    /// - Returns: whether the act was possible.
    mutating func act(_ act: Act) throws -> Bool {
        switch act {
        case .deliverOrderEvent:
            guard nextOrderEvent < orderEvents.count else { return false }
            try take([.event(event(orderEvents, nextOrderEvent, Self.orderID))])
            nextOrderEvent += 1
        case .deliverPaymentEvent:
            guard nextPaymentEvent < paymentEvents.count else { return false }
            try take([.event(event(paymentEvents, nextPaymentEvent, paymentID))])
            nextPaymentEvent += 1
        case .repeatOrderEvent:
            guard nextOrderEvent > 0 else { return false }
            let all = (0..<nextOrderEvent).map { OrderProcessPolicy.Input.event(event(orderEvents, $0, Self.orderID)) }
            try take(all)
        case .repeatPaymentEvent:
            guard nextPaymentEvent > 0 else { return false }
            try take((0..<nextPaymentEvent).map { .event(event(paymentEvents, $0, paymentID)) })
        case .cancelOrder: return cancel() == nil
        case .capturePayment: return capture() == nil
        case .failPayment: return fail() == nil
        case .refundSome:
            guard payment == .captured, refunded < 4 else { return false }
            refunded += 1
            paymentEvents.append(.paymentRefunded(Self.setback("goodwill")))
        case .shipByHand:
            guard !isCancelled, shipments == 0 else { return false }
            shipments += 1
            isShippedByHand = true
        case .receiveStock: available += 1
        case .loseStock:
            guard available > 0 else { return false }
            available -= 1
        case .passTime: now = Timestamp(microseconds: now.microseconds + 400_000_000)
        case .handleDeadline:
            guard let due = stored?.state.due, due <= now else { return false }
            try take([.deadline])
        }
        return true
    }

    private var paymentID: String { OrderProcessPolicy.paymentID(of: Self.orderID) }

    private func event(_ events: [OrderEventPayload], _ index: Int, _ id: String) -> OrderEvent {
        OrderEvent(
            events[index], of: id, sequence: Int64(index + 1), at: Self.policyStart,
            eventID: EventID(high: UInt64(id.utf8.count), low: UInt64(index)))
    }

    /// Whether all events are delivered.
    var isQuiet: Bool { nextOrderEvent == orderEvents.count && nextPaymentEvent == paymentEvents.count }

    // MARK: the transaction of the process

    private mutating func take(_ inputs: [OrderProcessPolicy.Input]) throws {
        var work = ProcessWork(policy, stored.map { [$0] } ?? [], at: now)
        for input in inputs {
            if case .event(let event) = input, policy.process(of: event) == nil { continue }
            work.add(input, to: Self.orderID)
        }
        while true {
            let steps = work.advance()
            if steps.isEmpty { break }
            var answers: [(step: ProcessWork<OrderProcessPolicy>.PendingStep, verdict: CommandOutcome.Verdict)] = []
            for step in steps { answers.append((step, verdict(carryOut(step.step)))) }
            try work.answer(answers)
        }
        stored = work.changes(new: true).first ?? work.changes(new: false).first ?? stored
    }

    private func verdict(_ rule: String?) -> CommandOutcome.Verdict {
        guard let rule else {
            return .accepted(CommandResult(aggregateType: "", aggregateID: "", version: 1, body: []))
        }
        return .refused(Refusal(rule: rule, kind: .conflict, summary: "", detail: ""))
    }

    // MARK: the rules

    /// - Returns: the rule that refuses the command; nil if it is executed.
    private mutating func carryOut(_ step: OrderProcessStep) -> String? {
        switch step {
        case .reserve:
            if isCancelled { return "order-not-confirmed" }
            if shipments > 0 { return "order-shipped" }
            if available == 0 { return "insufficient-stock" }
            available -= 1
            isReserved = true
        case .authorize:
            if payment != .none { return "payment-exists" }
            if isCancelled { return "order-not-confirmed" }
            payment = .authorized
            paymentEvents.append(
                .paymentAuthorized(PaymentAuthorized(orderID: Self.orderID, money: Self.euro, method: "card")))
        case .ship:
            if shipments > 0 { return "order-shipped" }
            if isCancelled { return "order-not-confirmed" }
            if payment == .failed { return "payment-failed" }
            if !isReserved { return "not-reserved" }
            if payment != .captured { _ = capture() }
            isReserved = false
            shipments += 1
        case .failPayment: return fail()
        case .cancel: return cancel()
        case .returnPayment:
            if payment == .authorized { _ = fail() }
            if payment == .captured, refunded < 4 {
                refunded = 4
                paymentEvents.append(.paymentRefunded(Self.setback("cancelled")))
            }
        case .release:
            if isReserved { available += 1 }
            isReserved = false
        }
        return nil
    }

    private mutating func capture() -> String? {
        switch payment {
        case .none: return "unknown-payment"
        case .failed: return "payment-failed"
        case .captured: return "payment-completed"
        case .authorized:
            payment = .captured
            captures += 1
            paymentEvents.append(
                .paymentCompleted(PaymentCompleted(orderID: Self.orderID, money: Self.euro, method: "card")))
            return nil
        }
    }

    private mutating func fail() -> String? {
        switch payment {
        case .none: return "unknown-payment"
        case .failed: return "payment-failed"
        case .captured: return "payment-completed"
        case .authorized:
            payment = .failed
            paymentEvents.append(.paymentFailed(Self.setback("declined")))
            return nil
        }
    }

    private mutating func cancel() -> String? {
        if isCancelled { return "order-cancelled" }
        if shipments > 0 { return "order-shipped" }
        isCancelled = true
        orderEvents.append(.orderCancelled(OrderCancelled(reason: "", cancelledBy: "")))
        return nil
    }
}

enum ShopCurrency {
    static let euro: Currency = {
        guard let euro = Currency("EUR") else { preconditionFailure("EUR is a currency") }
        return euro
    }()
}
