public import Events
public import ProcessManagers
public import StreamCore
public import WireJSON

/// The stage of an order's process, and what it holds for the order.
public struct OrderProcessState: ProcessState {
    /// The stages of the process. Between two transactions a process is in one of the last five.
    public enum Stage: String, CaseIterable, Sendable {
        /// It reserves stock, authorizes a payment, or ships.
        case working
        /// It returns the payment and the stock.
        case cancelling
        /// It waits for the next attempt to reserve stock.
        case awaitingStock = "awaiting_stock"
        /// It waits until the provider captures the payment or reports that it failed.
        case awaitingPayment = "awaiting_payment"
        case shipped
        case cancelled
        /// The order can be neither shipped nor cancelled. An operator must decide.
        case stopped
    }

    public internal(set) var step = Stage.working
    /// Whether the pieces of all lines are reserved.
    public internal(set) var hasStock = false
    /// Whether there is an authorized or captured payment, which must be captured or returned.
    public internal(set) var hasPayment = false
    public internal(set) var isOrderCancelled = false
    public internal(set) var due: Timestamp?
    /// The time until which the order waits for stock.
    public internal(set) var stockUntil: Timestamp?
    /// The reason why the order is cancelled or the process stopped: the name of a rule, or a word of the policy.
    public internal(set) var reason: String?

    public init() {}

    public var stage: String { step.rawValue }

    public var isFinished: Bool { step == .shipped || step == .cancelled }
}

extension OrderProcessState {
    public static let format: Int32 = 1

    public init(reading fields: inout FieldReader, format: Int32) throws(DecodeProblem) {
        self.init()
        var step: Stage?
        let start = try fields.enterObject()
        guard format == Self.format else {
            throw DecodeProblem(.invalidValue, at: start, "a newer release has written this state")
        }
        while let key = try fields.nextKey() {
            if fields.matches(key, "stage") {
                step = Stage(rawValue: try fields.text())
            } else if fields.matches(key, "hasStock") {
                hasStock = try fields.boolean()
            } else if fields.matches(key, "hasPayment") {
                hasPayment = try fields.boolean()
            } else if fields.matches(key, "isOrderCancelled") {
                isOrderCancelled = try fields.boolean()
            } else if fields.matches(key, "due") {
                due = try fields.timestamp()
            } else if fields.matches(key, "stockUntil") {
                stockUntil = try fields.timestamp()
            } else if fields.matches(key, "reason") {
                reason = try fields.text()
            } else {
                try fields.skip()
            }
        }
        self.step = try FieldReader.required(step, "stage", in: start)
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("stage", step.rawValue)
        for (name, value) in [
            ("hasStock", hasStock), ("hasPayment", hasPayment), ("isOrderCancelled", isOrderCancelled),
        ] {
            writer.key(name)
            writer.bool(value)
        }
        for (name, time) in [("due", due), ("stockUntil", stockUntil)] {
            guard let time else { continue }
            writer.key(name)
            writer.string(time)
        }
        if let reason { writer.member("reason", reason) }
        writer.endObject()
    }
}
