public import StreamCore

/// What the process of orders leaves to the operator.
public struct OrderProcessRules: Hashable, Sendable {
    /// Who takes the authorized money.
    public enum Capture: String, CaseIterable, Sendable {
        /// The process itself, when it ships.
        case process
        /// A payment provider, which answers with the commands of payments. The process ships when it has.
        case provider
    }

    public var capture = Capture.process
    /// The method of the payments, `card` for example.
    public var paymentMethod = "card"
    /// How long the provider may take, in seconds. The payment then fails.
    public var paymentTimeoutS = 900
    /// How long an order may wait for stock, in seconds; 0 cancels it at once.
    public var stockTimeoutS = 0
    /// The time between two attempts to reserve stock, in seconds.
    public var stockRetryS = 60
    /// The carrier of the parcels.
    public var carrier = "standard"
    /// Orders that were confirmed before are left alone; nil for none.
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
