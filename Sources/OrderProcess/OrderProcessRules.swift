public import StreamCore

/// The settings of the process of orders.
public struct OrderProcessRules: Hashable, Sendable {
    /// Who captures the authorized payment.
    public enum Capture: String, CaseIterable, Sendable {
        /// The process captures it together with the shipment.
        case process
        /// A payment provider captures it and reports that with the commands of payments. The process ships after that.
        case provider
    }

    public var capture = Capture.process
    /// The method of the payments, `card` for example.
    public var paymentMethod = "card"
    /// Time that the provider has for the capture, in seconds. After that, the payment fails.
    public var paymentTimeoutS = 900
    /// Maximum time that an order waits for stock, in seconds; 0 cancels it at once.
    public var stockTimeoutS = 0
    /// The time between two attempts to reserve stock, in seconds.
    public var stockRetryS = 60
    /// The carrier of the parcels.
    public var carrier = "standard"
    /// The process ignores orders that were confirmed before this time; nil for none.
    public var since: Timestamp?

    public init() {}

    /// The problems of the values; empty if there are none.
    public func validate() -> [String] {
        var problems: [String] = []
        let limits = [
            ("paymentTimeoutS", paymentTimeoutS, 1...31_536_000), ("stockTimeoutS", stockTimeoutS, 0...31_536_000),
            ("stockRetryS", stockRetryS, 1...86_400),
        ]
        for (name, value, range) in limits where !range.contains(value) {
            problems.append("\(name) is not within \(range.lowerBound)…\(range.upperBound)")
        }
        if paymentMethod.isEmpty { problems.append("paymentMethod is empty") }
        if carrier.isEmpty { problems.append("carrier is empty") }
        return problems
    }
}
