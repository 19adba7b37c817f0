internal import StreamCore

/// How long a shard waits after a failure before it tries to lead again.
///
/// Only a removal, or a long time without a failure, shows that things work: a relay that can read and publish but
/// never gets to remove anything would publish the same rows at each try, and must do so ever more rarely.
///
/// A pure value: it neither sleeps nor reads a clock.
struct OwnershipPacing {
    /// What became of one try.
    struct Outcome {
        /// Rows were sent to Kafka.
        var hasPublished = false
        /// Rows were removed.
        var hasRemoved = false
        /// How long it took until the failure.
        var lasted: Duration
    }

    /// A try that lasted so long worked.
    static let steady = Duration.seconds(60)

    private var failures = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
    private var repetitions = Backoff(initial: .milliseconds(500), ceiling: .seconds(300))

    /// The wait after a try that failed.
    mutating func next(after outcome: Outcome) -> Duration {
        if outcome.hasRemoved || outcome.lasted >= Self.steady {
            failures.reset()
            repetitions.reset()
        }
        let wait = failures.next()
        return outcome.hasPublished && !outcome.hasRemoved ? max(wait, repetitions.next()) : wait
    }
}
