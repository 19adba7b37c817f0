internal import CommandPrograms
internal import Daemon
internal import OrderProcess
internal import Settings
internal import StreamCore

/// `[order_process]`: the configurable rules of the process of orders.
struct OrderProcessSettings {
    var rules = OrderProcessRules()
    let deadlinePollMs: Int
    let finishedKeptDays: Int
    let notifyChannel: String?

    /// - Parameter eventsKeptDays: time for which a repeated event is recognised by its id, in days.
    init(from reader: SettingsReader, eventsKeptDays: Int) {
        let section = reader.section("order_process", "What happens to an order after its confirmation.")
        let defaults = OrderProcessRules()
        rules.capture = section.choice(
            "capture", default: defaults.capture,
            """
            Who captures the authorized payment. process: the process itself, when it ships the order. provider: a \
            payment provider, which sends the commands capture or fail of payments. The order is shipped after the \
            capture.
            """)
        rules.paymentMethod = section.string(
            "payment_method", default: defaults.paymentMethod, "The method of the payments that are authorized."
        ) { $0.isEmpty ? "must not be empty" : nil }
        rules.paymentTimeoutS = section.integer(
            "payment_timeout_s", default: defaults.paymentTimeoutS, in: 1...31_536_000,
            """
            Maximum time between the authorization and the capture, with capture = "provider". After that the payment \
            fails and the order is cancelled.
            """)
        rules.stockTimeoutS = section.integer(
            "stock_timeout_s", default: defaults.stockTimeoutS, in: 0...31_536_000,
            """
            Maximum time that an order waits for stock. After that it is cancelled. 0 cancels an order at once if a \
            product is not in stock.
            """)
        rules.stockRetryS = section.integer(
            "stock_retry_s", default: defaults.stockRetryS, in: 1...86_400,
            "Time between two attempts to reserve stock for an order that waits.")
        rules.carrier = section.string(
            "carrier", default: defaults.carrier, "The carrier of the shipments that are created."
        ) { $0.isEmpty ? "must not be empty" : nil }
        let since = section.optionalString(
            "since", example: "2026-01-01T00:00:00Z",
            """
            The daemon ignores orders that were confirmed before this time. Set it before the first start if the \
            topics contain orders that were handled in another way.
            """
        ) { (try? Timestamp(parsing: $0.utf8Span.span)) == nil ? "must be a time such as 2026-01-01T00:00:00Z" : nil }
        rules.since = since.flatMap { try? Timestamp(parsing: $0.utf8Span.span) }
        deadlinePollMs = section.integer(
            "deadline_poll_ms", default: 1_000, in: 10...60_000,
            "Interval at which the daemon looks for deadlines that have passed.")
        finishedKeptDays = section.integer(
            "finished_kept_days", default: 90, in: 1...36_500,
            """
            How long a finished process and its history are kept. After that, the daemon deletes them. It never \
            deletes a process that is not finished. If the confirmation of an order is read again later, a new process \
            begins. So set it longer than any replay of the topics, and not below processed_events_retention_days.
            """)
        if finishedKeptDays < eventsKeptDays {
            section.reject(
                "finished_kept_days",
                """
                is less than processed_events_retention_days (\(eventsKeptDays)): an old event could begin a process again
                """)
        }
        notifyChannel = section.outboxNotifyChannel()
        section.reject(rules.validate())
    }
}
