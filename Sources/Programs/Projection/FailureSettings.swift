internal import Daemon
internal import Projections
internal import Settings

/// `[dead_letters]` of a projection: the handling of events that can never be applied.
struct FailureSettings {
    enum Choice: String, CaseIterable {
        case park, stop
    }

    private let choice: Choice
    private let breakerAfter: Int
    /// The topics of letters of a single projection; nil if there are several, whose topics follow from their names.
    private let route: DeadLetterRoute?

    /// The failure policy of a projection.
    ///
    /// - Parameter order: the order that its read model needs, if no setting specifies it.
    func policy(of consumer: String, order: DeadLetterRoute.Order) -> FailurePolicy {
        guard choice == .park else { return .stop }
        if let route { return .park(route) }
        var route = DeadLetterRoute(consumer: consumer)
        route.order = order
        route.breakerAfter = breakerAfter
        return .park(route)
    }

    /// - Parameters:
    ///   - consumer: the projection's name; nil if there are several.
    ///   - order: the order that its read model needs.
    init(from reader: SettingsReader, consumer: String?, order: DeadLetterRoute.Order) {
        let section = reader.section(
            "dead_letters",
            "What the daemon does with an event that cannot be decoded or applied.")
        choice = section.choice(
            "on_failure", default: Choice.park,
            """
            park: the event becomes a dead letter, and other events are applied. stop: the partition stops before the \
            event.
            """)
        let defaults = DeadLetterRoute(consumer: consumer ?? "")
        var route = defaults
        if consumer != nil {
            route.letterTopic = section.string(
                "letter_topic", default: defaults.letterTopic,
                "Topic that receives the dead letters.")
            route.retryTopic = section.string(
                "retry_topic", default: defaults.retryTopic,
                "Topic from which the daemon reads retried letters.")
            route.order = section.choice(
                "order", default: order,
                """
                Which events wait for a failed event. key: later events of the same key become dead letters behind \
                it. none: no events wait.
                """)
        }
        breakerAfter = section.integer(
            "circuit_breaker_after", default: defaults.breakerAfter, in: 0...100_000,
            """
            Number of consecutive failures after which the circuit breaker of a partition opens. It counts the \
            failures of one event type and error class until an event of that type is applied, and all failures until \
            any event is applied. While it is open, the partition creates no more dead letters and tries one event at \
            a time until one can be applied. Other partitions are not affected. Raise it if long runs of bad events \
            are normal. 0 switches the circuit breaker off.
            """)
        route.breakerAfter = breakerAfter
        section.reject(route.validate())
        self.route = consumer == nil ? nil : route
    }
}
