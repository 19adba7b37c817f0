internal import Kafka
internal import Logging
internal import Metrics
internal import Postgres
internal import StreamCore
internal import Synchronization

/// The log lines and metrics of the handler. Each function reports one event to both.
final class HandlerTelemetry: Sendable {
    private struct Lines {
        var rare = RareLines()
        var isAway = false
    }

    private let logger: Logger
    private let results: ReplayResults
    private let leader = Gauge(label: "millrace_dead_letters_sender")
    private let scheduled = Counter(label: "millrace_dead_letters_scheduled_total")
    private let stuck = Counter(label: "millrace_dead_letters_stuck_total")
    private let pruned = Counter(label: "millrace_dead_letters_pruned_total")
    private let lines = Mutex(Lines())

    init(_ logger: Logger, results: ReplayResults) {
        self.logger = logger
        self.results = results
        leader.record(0)
    }

    // MARK: work

    func scheduled(_ letters: Int) {
        guard letters > 0 else { return }
        scheduled.increment(by: letters)
        logger.info("letters are due", metadata: ["letters": "\(letters)"])
    }

    func sentAgain(_ letters: Int) {
        guard letters > 0 else { return }
        stuck.increment(by: letters)
        logger.warning(
            "the consumer did not answer letters, so they are sent again; check that it runs",
            metadata: ["letters": "\(letters)"])
    }

    func sent(_ outcome: PageOutcome) {
        results.count("sent", outcome.acknowledged)
        results.count("send_failed", outcome.refused.map(\.send))
        if !outcome.acknowledged.isEmpty {
            logger.debug("letters sent", metadata: ["letters": "\(outcome.acknowledged.count)"])
        }
        if let first = outcome.refused.first {
            logger.error(
                "letters cannot be sent and wait for an operator",
                metadata: [
                    "letters": "\(outcome.refused.count)", "example": "\(first.send.letterID)",
                    "error": "\(first.reason)",
                ])
        }
        for (topic, error) in outcome.held where isDue("held \(topic)") {
            logger.warning(
                "a topic accepts no letters, so they wait", metadata: ["topic": "\(topic)", "error": "\(error)"])
        }
    }

    func pruned(_ letters: Int) {
        guard letters > 0 else { return }
        pruned.increment(by: letters)
        logger.info("letters were deleted after their retention", metadata: ["letters": "\(letters)"])
    }

    // MARK: changes of state

    func standingBy() {
        leader.record(0)
        logger.info("in standby: another handler sends the letters")
    }

    func leading() {
        back()
        leader.record(1)
        logger.info("sending the letters")
    }

    func stopped() {
        leader.record(0)
    }

    func away(_ error: any Error) {
        leader.record(0)
        lines.withLock { $0.isAway = true }
        if isDue("away \(error)") {
            logger.warning("cannot send letters now; trying again", metadata: ["error": "\(error)"])
        }
    }

    private func back() {
        let wasAway = lines.withLock { lines in
            defer { lines.isAway = false }
            return lines.isAway
        }
        if wasAway { logger.notice("the database answers again") }
    }

    func kafkaFailing(_ error: KafkaError) {
        if isDue("kafka \(error.name)") { logger.warning("Kafka", metadata: ["error": "\(error)"]) }
    }

    /// Whether a line of this kind is due.
    private func isDue(_ kind: String) -> Bool {
        lines.withLock { $0.rare.isDue(kind, .now) }
    }
}
