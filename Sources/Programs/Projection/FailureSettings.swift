internal import Daemon
internal import Projections
internal import Settings

/// `[dead_letters]` of a projection: what becomes of events that can never be applied.
struct FailureSettings {
    enum Choice: String, CaseIterable {
        case park, stop
    }

    var policy: FailurePolicy

    /// - Parameters:
    ///   - consumer: the projection's name.
    ///   - order: what its read model needs.
    init(from reader: SettingsReader, consumer: String, order: DeadLetterRoute.Order) {
        let section = reader.section("dead_letters", "What becomes of an event that can never be decoded or applied.")
        let choice = section.choice(
            "on_failure", default: Choice.park,
            "It becomes a dead letter, and all else goes on; or its partition stops before it.")
        let defaults = DeadLetterRoute(consumer: consumer)
        var route = defaults
        route.letterTopic = section.string("letter_topic", default: defaults.letterTopic, "Where dead letters go.")
        route.retryTopic = section.string(
            "retry_topic", default: defaults.retryTopic, "Where they come back from, for another try.")
        route.order = section.choice(
            "order", default: order,
            "What waits for a failed event: later events of its key, which become dead letters behind it, or nothing.")
        route.breakerAfter = section.integer(
            "circuit_breaker_after", default: defaults.breakerAfter, in: 0...100_000,
            """
            Events of a partition that fail, as of a bad release, before its circuit breaker opens: events of one type \
            and error class with none of that type applied in between, or any events with none applied in between. \
            Then nothing more of the partition becomes a dead letter, and one event at a time is tried until one can \
            be applied; other partitions go on. Raise it where long runs of bad events are normal. 0 for never.
            """)
        section.reject(route.validate())
        policy = choice == .stop ? .stop : .park(route)
    }
}
