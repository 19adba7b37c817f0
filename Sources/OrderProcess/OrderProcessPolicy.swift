public import Commands
public import Events
internal import Inventory
internal import InventoryCommands
internal import OrderCommands
public import Orders
public import ProcessManagers
public import StreamCore

/// The next step of an order's process.
public enum OrderProcessStep: Hashable, Sendable {
    /// Reserve the pieces of all lines, or none.
    case reserve
    /// Authorize a payment of the order's total.
    case authorize
    /// Capture the payment if the provider has not, and ship all lines. Either all of this takes effect, or none.
    case ship
    /// Fail a payment that was not captured before the deadline.
    case failPayment
    case cancel(reason: String)
    /// Fail an authorized payment, or refund a captured one.
    case returnPayment(reason: String)
    /// Release the reserved pieces.
    case release
}

/// The process of an order after its confirmation: reserve stock → authorize the payment → capture and ship. If a step
/// is impossible or too late, the process cancels the order and returns the stock and the payment.
///
/// **Races.** The process cancels the order before it returns anything, and no parcel is shipped after that. The rules
/// of orders and shipments exclude each other under the order's lock. If a capture and a deadline meet, the payment's
/// lock decides which is first, and the payment's state then decides the second.
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

    /// The id of the payment. It is derived from the order's id, so that the process has only one payment.
    public static func paymentID(of orderID: String) -> String { identity("pay", orderID) }

    /// The id of the shipment, which is derived in the same way.
    public static func shipmentID(of orderID: String) -> String { identity("shp", orderID) }

    /// An id has at most 255 bytes. A longer one is replaced by a hash and its beginning.
    private static func identity(_ prefix: String, _ orderID: String) -> String {
        let whole = "\(prefix)-\(orderID)"
        if whole.utf8.count <= FieldReader.maximumIdentityLength { return whole }
        return "\(prefix)-\(String(FNV1a.hash(orderID), radix: 16))-\(String(orderID.prefix(50)))"
    }

    public func process(of event: OrderEvent) -> String? {
        switch event.payload {
        case .orderConfirmed, .orderCancelled: event.identity.aggregateID
        case .paymentCompleted, .paymentFailed:
            // The process ignores other payments of the order.
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
        // The process already knows this, or the event is a repetition.
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
        // An operator resumes the process, which tries the refused step again.
        case .stopped:
            return state.isOrderCancelled ? giveBack(&state) : cancel(because: state.reason ?? "resumed", &state)
        case .working, .cancelling, .shipped, .cancelled: return []
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
            // The payment was captured before the deadline was handled.
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

    /// Returns the payment and the stock of a cancelled order.
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
