internal import StreamCore

/// Computes the delay after a failure before the process tries to own the shard again.
///
/// Only a removal, or a long time without a failure, shows that publishing works. A relay that can read and publish but
/// never removes rows would publish the same rows at each attempt, so its delays must grow.
///
/// This is a pure value: it neither sleeps nor reads a clock.
struct OwnershipPacing {
    /// The result of one attempt.
    struct Outcome {
        /// Whether Kafka acknowledged rows.
        var hasPublished = false
        /// Whether rows were removed.
        var hasRemoved = false
        /// The time until the failure.
        var lasted: Duration
    }

    /// An attempt that lasted this long was successful.
    static let steady = Duration.seconds(60)

    private var failures = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
    private var repetitions = Backoff(initial: .milliseconds(500), ceiling: .seconds(300))

    /// The delay after a failed attempt.
    mutating func next(after outcome: Outcome) -> Duration {
        if outcome.hasRemoved || outcome.lasted >= Self.steady {
            failures.reset()
            repetitions.reset()
        }
        let wait = failures.next()
        return outcome.hasPublished && !outcome.hasRemoved ? max(wait, repetitions.next()) : wait
    }
}
