public import Commands
public import Events
internal import Inventory
internal import InventoryCommands
internal import OrderCommands
public import Orders
public import ProcessManagers
public import StreamCore

/// What the process of an order does next.
public enum OrderProcessStep: Hashable, Sendable {
    /// Reserve the pieces of all lines, or none.
    case reserve
    /// Have the order's total authorized.
    case authorize
    /// Take the money unless the provider has, and ship all lines: all of it, or nothing.
    case ship
    /// Fail a payment that nobody has captured in time.
    case failPayment
    case cancel(reason: String)
    /// Fail an authorized payment, or refund a captured one.
    case returnPayment(reason: String)
    /// Release what is reserved.
    case release
}

/// The process of an order, from its confirmation on: reserve stock → authorize the payment → capture and ship. If a
/// step is impossible or too late: cancel the order, and give back what is held for it.
///
/// **Order.** The order is cancelled before anything is given back, and nothing is shipped after that: the rules of
/// orders and shipments exclude each other under the order's lock. The last word about a payment is the payment's own
/// state, under its lock: a capture and a deadline that meet are decided by who comes first.
public struct OrderProcessPolicy: ProcessPolicy {
    public typealias Payload = OrderEventPayload
    public typealias State = OrderProcessState
    public typealias Step = OrderProcessStep

    public static let name = "order-process"
    public var name: String { Self.name }
    public let topics: [String]
    private let rules: OrderProcessRules

    /// - Parameter topicSuffix: the suffix of the topics' names. It must equal the relay's setting of the same name.
    public init(_ rules: OrderProcessRules, topicSuffix: String = "-events") {
        self.rules = rules
        topics = [AggregateType.order, .payment].map { $0.topic(suffix: topicSuffix) }
    }

    public var openStages: [String] {
        [State.Stage.awaitingStock, .awaitingPayment, .stopped].map(\.rawValue)
    }

    // MARK: identities

    /// The payment of an order's process. The id follows from the order's, so that there is one.
    public static func paymentID(of orderID: String) -> String { identity("pay", orderID) }

    /// The shipment of an order's process.
    public static func shipmentID(of orderID: String) -> String { identity("shp", orderID) }

    /// An id may have 255 bytes. Of a long one, the beginning and a hash stay.
    private static func identity(_ prefix: String, _ orderID: String) -> String {
        let whole = "\(prefix)-\(orderID)"
        if whole.utf8.count <= FieldReader.maximumIdentityLength { return whole }
        return "\(prefix)-\(String(FNV1a.hash(orderID), radix: 16))-\(String(orderID.prefix(50)))"
    }

    public func process(of event: OrderEvent) -> String? {
        switch event.payload {
        case .orderConfirmed, .orderCancelled: event.identity.aggregateID
        case .paymentCompleted, .paymentFailed:
            // Payments that people make for the order are their own.
            event.identity.aggregateID == Self.paymentID(of: event.orderID) ? event.orderID : nil
        case .orderCreated, .itemAdded, .itemRemoved, .paymentAuthorized, .paymentRefunded, .shipmentCreated,
            .shipmentDelivered:
            nil
        }
    }

    public func begin(with event: OrderEvent) -> OrderProcessState? {
        guard case .orderConfirmed = event.payload else { return nil }
        if let since = rules.since, event.identity.timestamp < since { return nil }
        return OrderProcessState()
    }

    // MARK: the state machine

    public func handle(_ input: Input, _ state: inout State, at now: Timestamp) -> [Step] {
        switch input {
        case .event(let event): took(event.payload, &state, now)
        case .deadline: due(&state)
        case .accepted(let step): accepted(step, &state, now)
        case .refused(let step, let rule): refused(step, rule, &state, now)
        }
    }

    private func took(_ event: OrderEventPayload, _ state: inout State, _ now: Timestamp) -> [Step] {
        switch (event, state.step) {
        case (.orderConfirmed, .working):
            state.stockUntil = now.adding(seconds: rules.stockTimeoutS)
            return [.reserve]
        case (.orderCancelled, .awaitingStock), (.orderCancelled, .awaitingPayment), (.orderCancelled, .stopped):
            state.reason = OrderRule.orderCancelled.rawValue
            return giveBack(&state)
        case (.paymentCompleted, .awaitingPayment): return ship(&state)
        case (.paymentFailed, .awaitingPayment):
            state.hasPayment = false
            return cancel(because: PaymentRule.paymentFailed.rawValue, &state)
        // The event tells what is known, or comes again.
        default: return []
        }
    }

    private func due(_ state: inout State) -> [Step] {
        state.due = nil
        switch state.step {
        case .awaitingStock:
            state.step = .working
            return [.reserve]
        case .awaitingPayment: return [.failPayment]
        case .working, .cancelling, .shipped, .cancelled, .stopped: return []
        }
    }

    private func accepted(_ step: Step, _ state: inout State, _ now: Timestamp) -> [Step] {
        switch step {
        case .reserve:
            state.hasStock = true
            return [.authorize]
        case .authorize:
            state.hasPayment = true
            if rules.capture == .process { return ship(&state) }
            state.step = .awaitingPayment
            state.due = now.adding(seconds: rules.paymentTimeoutS)
        case .ship:
            state.hasStock = false
            state.hasPayment = false
            state.step = .shipped
        case .failPayment:
            state.hasPayment = false
            return cancel(because: "payment-timeout", &state)
        case .cancel: return giveBack(&state)
        case .returnPayment:
            state.hasPayment = false
            end(&state)
        case .release:
            state.hasStock = false
            end(&state)
        }
        return []
    }

    private func refused(_ step: Step, _ rule: String, _ state: inout State, _ now: Timestamp) -> [Step] {
        switch step {
        case .reserve:
            let isMissing = [InventoryRule.insufficientStock, .unknownStock].map(\.rawValue).contains(rule)
            guard isMissing, let until = state.stockUntil, now < until else { return cancel(because: rule, &state) }
            state.step = .awaitingStock
            state.due = min(now.adding(seconds: rules.stockRetryS), until)
            return []
        case .authorize, .ship: return cancel(because: rule, &state)
        case .failPayment:
            // Who captured it was faster than the deadline.
            if rule == PaymentRule.paymentCompleted.rawValue { return ship(&state) }
            if rule == PaymentRule.paymentFailed.rawValue { state.hasPayment = false }
            return cancel(because: rule, &state)
        case .cancel:
            if rule == OrderRule.orderCancelled.rawValue { return giveBack(&state) }
            return stop(because: rule, &state)
        case .returnPayment, .release: return stop(because: rule, &state)
        }
    }

    // MARK: transitions

    private func ship(_ state: inout State) -> [Step] {
        state.due = nil
        state.step = .working
        return [.ship]
    }

    private func cancel(because reason: String, _ state: inout State) -> [Step] {
        state.due = nil
        state.step = .cancelling
        state.reason = reason
        return [.cancel(reason: reason)]
    }

    /// The order is cancelled: what is held for it is held no longer.
    private func giveBack(_ state: inout State) -> [Step] {
        state.isOrderCancelled = true
        state.due = nil
        state.step = .cancelling
        var steps: [Step] = []
        if state.hasPayment { steps.append(.returnPayment(reason: state.reason ?? OrderRule.orderCancelled.rawValue)) }
        if state.hasStock { steps.append(.release) }
        end(&state)
        return steps
    }

    private func end(_ state: inout State) {
        if state.step == .cancelling, !state.hasPayment, !state.hasStock { state.step = .cancelled }
    }

    private func stop(because reason: String, _ state: inout State) -> [Step] {
        state.due = nil
        state.step = .stopped
        state.reason = reason
        return []
    }

    // MARK: commands

    public func command(for step: Step, of orderID: String) -> any Command {
        let paymentID = Self.paymentID(of: orderID)
        return switch step {
        case .reserve: ReserveOrder(orderID: orderID)
        case .authorize:
            AuthorizeOrder(orderID: orderID, paymentID: paymentID, method: rules.paymentMethod)
        case .ship:
            ShipOrder(
                orderID: orderID, paymentID: paymentID, shipmentID: Self.shipmentID(of: orderID),
                carrier: rules.carrier)
        case .failPayment: FailPayment(paymentID: paymentID, reason: "payment-timeout")
        case .cancel(let reason): CancelOrder(orderID: orderID, reason: reason, cancelledBy: name)
        case .returnPayment(let reason): ReturnPayment(paymentID: paymentID, reason: reason)
        case .release: ReleaseOrder(orderID: orderID)
        }
    }
}

extension Timestamp {
    fileprivate func adding(seconds: Int) -> Timestamp {
        Timestamp(microseconds: microseconds + Int64(seconds) * 1_000_000)
    }
}
