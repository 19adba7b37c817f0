/// What becomes of an event that can never be decoded or applied.
public enum FailurePolicy: Sendable, Equatable {
    /// Its partition stops before it, until somebody repaired the release or the data: for rebuilds, and for read
    /// models that must not lack anything.
    case stop
    /// It becomes a dead letter, and all others go on.
    case park(DeadLetterRoute)
}

/// Where a projection's dead letters go, and where they come back from.
///
/// A letter is the record as it was, with headers that say where it comes from and what is wrong; see
/// `docs/dead-letters.md`. It is acknowledged by Kafka before the transaction commits that passes its offset, so none
/// is lost; after a crash in between it comes twice.
public struct DeadLetterRoute: Sendable, Equatable {
    /// What waits for an event that failed.
    public enum Order: String, Sendable, CaseIterable {
        /// Later events of its key, which are parked behind it: the read model gets a key's events in their order.
        case key
        /// Nothing: for read models that do not depend on order, such as counters.
        case none
    }

    /// Where letters are produced to.
    public var letterTopic: String
    /// Where letters come back from, for another try. It need not exist as long as nobody writes to it.
    public var retryTopic: String
    /// See ``Order-swift.enum``.
    public var order = Order.key
    /// Events of one partition that fail with one error class, before that partition's circuit breaker opens: those of
    /// one type with none of that type applied in between, or any one after the other with nothing applied in between.
    /// Then nothing more of the partition is parked, and one event at a time is tried until one can be applied. What is
    /// blocked counts from the second failure on. 0: never.
    public var breakerAfter = 50
    /// Milliseconds until the first trial of a partition whose circuit breaker is open, or that cannot park as no
    /// letter can be written, before jitter; the time doubles with each.
    public var probeInitialMs = 1_000
    /// No time between two such trials is longer, in milliseconds.
    public var probeCeilingMs = 30_000
    /// Milliseconds that letters may take to be acknowledged before their transaction is given up and tried again; at
    /// most 20,000, as the database ends a transaction in which nothing happens.
    public var letterTimeoutMs = 10_000
    /// librdkafka properties of the letters' producer, over the client's own.
    public var producerProperties: [String: String] = [:]

    /// Letters to `dlq.<consumer>`, retries from `retry.<consumer>`.
    ///
    /// - Parameter consumer: the projection's name.
    public init(consumer: String) {
        letterTopic = "dlq.\(consumer)"
        retryTopic = "retry.\(consumer)"
    }

    /// What is wrong with the values, in words; empty when nothing is.
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
            "probeInitialMs and probeCeilingMs are not in order")
        require((100...20_000).contains(letterTimeoutMs), "letterTimeoutMs is not within 100…20000")
        return problems
    }
}
