internal import StreamCore

/// Decides whether and when a batch of spans that could not be exported is sent again. Each batch has its own.
///
/// This is a pure value: it neither waits nor reads a clock.
struct ExportRetry {
    /// Time after which the batch is given up.
    private let limit: Duration
    private var backoff = Backoff(initial: .milliseconds(500), ceiling: .seconds(10))

    /// - Parameter limit: time from the first attempt after which the batch is given up. Zero allows one attempt.
    init(limit: Duration) {
        self.limit = limit
    }

    /// The delay before the next attempt, after an attempt has failed. The destination's own delay counts up to the
    /// limit.
    ///
    /// - Parameter elapsed: time since the first attempt began.
    /// - Returns: nil if the batch is given up.
    mutating func delay(
        after error: TransientExportError, elapsed: Duration, using random: inout some RandomNumberGenerator
    ) -> Duration? {
        guard elapsed < limit else { return nil }
        return min(max(backoff.next(using: &random), error.retryAfter ?? .zero), limit - elapsed)
    }
}
