/// When orders are due at a steady rate.
///
/// The n-th order is due n / rate after the start, whatever happened to the ones before: a stall is made up for, and
/// no rounding adds up. A pure value that reads no clock.
public struct LoadPacer: Sendable {
    /// Orders a second; 0 means that all are due at once.
    public let ordersPerSecond: Double
    /// How far this pacer's orders are shifted, in parts of the distance between two: several pacers that share a rate
    /// take turns instead of acting together.
    public let phase: Double

    public init(ordersPerSecond: Double, phase: Double = 0) {
        precondition(ordersPerSecond >= 0 && (0..<1).contains(phase), "a rate is not negative, a phase is below 1")
        self.ordersPerSecond = ordersPerSecond
        self.phase = phase
    }

    /// Seconds after the start at which the order of this number, from 0, is due.
    public func due(_ number: Int) -> Double {
        ordersPerSecond == 0 ? 0 : (Double(number) + phase) / ordersPerSecond
    }
}
