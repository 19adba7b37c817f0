/// Computes when orders are due at a constant rate.
///
/// The n-th order is due n / rate seconds after the start, independent of earlier orders. So the load catches up after
/// a stall, and rounding errors do not accumulate. A pure value that reads no clock.
public struct LoadPacer: Sendable {
    /// Orders per second; 0 means that all are due at once.
    public let ordersPerSecond: Double
    /// The offset of this pacer's orders, as a fraction of the interval between two orders. Pacers that share a rate
    /// have different offsets, so that their orders are not due at the same times.
    public let phase: Double

    public init(ordersPerSecond: Double, phase: Double = 0) {
        precondition(
            ordersPerSecond >= 0 && (0..<1).contains(phase),
            "the rate must not be negative, and the phase must be below 1")
        self.ordersPerSecond = ordersPerSecond
        self.phase = phase
    }

    /// The time at which the order with this number, from 0, is due, in seconds after the start.
    public func due(_ number: Int) -> Double {
        ordersPerSecond == 0 ? 0 : (Double(number) + phase) / ordersPerSecond
    }
}
