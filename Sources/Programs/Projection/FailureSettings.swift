internal import Daemon
internal import Projections
internal import Settings

/// `[dead_letters]` of a projection: what becomes of events that can never be applied.
struct FailureSettings {
    enum Choice: String, CaseIterable {
        case park, stop
    }

    private let choice: Choice
    private let breakerAfter: Int
    /// Where the letters of the one projection go; nil where there are several, whose topics follow from their names.
    private let route: DeadLetterRoute?

    /// What becomes of a projection's failures.
    ///
    /// - Parameter order: what its read model needs, where no setting says it.
    func policy(of consumer: String, order: DeadLetterRoute.Order) -> FailurePolicy {
        guard choice == .park else { return .stop }
        if let route { return .park(route) }
        var route = DeadLetterRoute(consumer: consumer)
        route.order = order
        route.breakerAfter = breakerAfter
        return .park(route)
    }

    /// - Parameters:
    ///   - consumer: the projection's name; nil where there are several.
    ///   - order: what its read model needs.
    init(from reader: SettingsReader, consumer: String?, order: DeadLetterRoute.Order) {
        let section = reader.section("dead_letters", "What becomes of an event that can never be decoded or applied.")
        choice = section.choice(
            "on_failure", default: Choice.park,
            "It becomes a dead letter, and all else goes on; or its partition stops before it.")
        let defaults = DeadLetterRoute(consumer: consumer ?? "")
        var route = defaults
        if consumer != nil {
            route.letterTopic = section.string("letter_topic", default: defaults.letterTopic, "Where dead letters go.")
            route.retryTopic = section.string(
                "retry_topic", default: defaults.retryTopic, "Where they come back from, for another try.")
            route.order = section.choice(
                "order", default: order,
                """
                What waits for a failed event: later events of its key, which become dead letters behind it, or nothing.
                """)
        }
        breakerAfter = section.integer(
            "circuit_breaker_after", default: defaults.breakerAfter, in: 0...100_000,
            """
            Events of a partition that fail, as of a bad release, before its circuit breaker opens: events of one type \
            and error class with none of that type applied in between, or any events with none applied in between. \
            Then nothing more of the partition becomes a dead letter, and one event at a time is tried until one can \
            be applied; other partitions go on. Raise it where long runs of bad events are normal. 0 for never.
            """)
        route.breakerAfter = breakerAfter
        section.reject(route.validate())
        self.route = consumer == nil ? nil : route
    }
}
