internal import StreamCore

/// The time range of a dashboard. It includes the current bucket, which has not ended yet.
enum DashboardWindow: String, CaseIterable, Sendable {
    case hour = "1h"
    case sixHours = "6h"
    case day = "24h"
    case week = "7d"
    case month = "30d"

    /// The resolution of `dashboard_counters` in which the window is shown.
    var resolution: String {
        switch self {
        case .hour, .sixHours: "minute"
        case .day, .week: "hour"
        case .month: "day"
        }
    }

    private var bucketMicroseconds: Int64 {
        switch self {
        case .hour, .sixHours: 60_000_000
        case .day, .week: 3_600_000_000
        case .month: 86_400_000_000
        }
    }

    private var bucketCount: Int64 {
        switch self {
        case .hour: 60
        case .sixHours: 360
        case .day: 24
        case .week: 7 * 24
        case .month: 30
        }
    }

    /// The range of the window at a time: from the beginning of its first bucket to the end of its last one.
    func span(at now: Timestamp) -> (from: Timestamp, to: Timestamp) {
        let (quotient, remainder) = now.microseconds.quotientAndRemainder(dividingBy: bucketMicroseconds)
        let end = (quotient + (remainder < 0 ? 0 : 1)) * bucketMicroseconds
        return (
            Timestamp(microseconds: end - bucketCount * bucketMicroseconds), Timestamp(microseconds: end)
        )
    }
}
