/// The treatment of an event that can never be decoded or applied.
public enum FailurePolicy: Sendable, Equatable {
    /// The partition stops before the event until an operator corrects the release or the data: for rebuilds, and for
    /// read models that must be complete.
    case stop
    /// The event becomes a dead letter, and other events are applied.
    case park(DeadLetterRoute)
}

/// The topics of a projection's dead letters and of their retries.
///
/// A letter is the original record with headers for its origin and its error; see `docs/dead-letters.md`. Kafka
/// acknowledges it before the transaction that passes its offset commits, so none is lost. After a crash in between it
/// is written twice.
public struct DeadLetterRoute: Sendable, Equatable {
    /// The events that wait for a failed event.
    public enum Order: String, Sendable, CaseIterable {
        /// Later events of its key, which are parked behind it. The read model receives the events of a key in their
        /// order.
        case key
        /// No events: for read models that do not depend on order, such as counters.
        case none
    }

    /// The topic of dead letters.
    public var letterTopic: String
    /// The topic of retried letters. It need not exist before the first retry.
    public var retryTopic: String
    /// See ``Order-swift.enum``.
    public var order = Order.key
    /// Number of failures after which the circuit breaker of a partition opens: failures of one error class and event
    /// type without an applied event of that type in between, or consecutive failures of any kind. The partition then
    /// parks no more events, and tries one event at a time until one can be applied. Blocked events count from the
    /// second failure on. 0 switches the circuit breaker off.
    public var breakerAfter = 50
    /// Delay in milliseconds before the first trial of a partition whose circuit breaker is open or whose letters
    /// cannot be written, before jitter. Each further delay is twice as long.
    public var probeInitialMs = 1_000
    /// Maximum delay between two such trials in milliseconds.
    public var probeCeilingMs = 30_000
    /// Maximum time in milliseconds for the acknowledgement of letters. Then their transaction is rolled back and tried
    /// again. At most 20,000, because the database ends an idle transaction.
    public var letterTimeoutMs = 10_000
    /// librdkafka properties of the letters' producer. They override those of the client.
    public var producerProperties: [String: String] = [:]

    /// Letters to `dlq.<consumer>`, retries from `retry.<consumer>`.
    ///
    /// - Parameter consumer: the projection's name.
    public init(consumer: String) {
        letterTopic = "dlq.\(consumer)"
        retryTopic = "retry.\(consumer)"
    }

    /// The problems of the values; empty if there are none.
    public func validate() -> [String] {
        var problems: [String] = []
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        require(!letterTopic.isEmpty && !retryTopic.isEmpty, "letterTopic or retryTopic is empty")
        require(letterTopic != retryTopic, "letterTopic and retryTopic are the same")
        require(breakerAfter >= 0, "breakerAfter is negative")
        require(
            probeInitialMs > 0 && probeCeilingMs >= probeInitialMs,
            "probeInitialMs and probeCeilingMs must be positive and in ascending order")
        require((100...20_000).contains(letterTimeoutMs), "letterTimeoutMs is outside 100…20000")
        return problems
    }
}
