internal import Logging
internal import Metrics
internal import StreamCore
internal import Synchronization

/// The log lines and metrics of alerts. Each function reports one event to both.
struct AlertReports: Sendable {
    private let logger: Logger
    private let trouble = Trouble()

    private final class Trouble: Sendable {
        let lines = Mutex(RareLines())
    }

    init(logger: Logger) {
        self.logger = logger
    }

    private func count(_ alert: Alert, _ outcome: String) {
        Counter(
            label: "millrace_dead_letters_alerts_total", dimensions: [("kind", alert.kind), ("outcome", outcome)]
        ).increment()
    }

    private func metadata(_ alert: Alert) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["kind": "\(alert.kind)", "consumer": "\(alert.consumer)"]
        if let name = alert.errorClass { metadata["class"] = "\(name)" }
        if let digits = alert.fingerprint { metadata["fingerprint"] = "\(digits)" }
        return metadata
    }

    func sent(_ alert: Alert, tries: Int) {
        count(alert, "sent")
        logger.info("alert sent", metadata: metadata(alert).merging(["tries": "\(tries)"]) { $1 })
    }

    func failed(_ alert: Alert, tries: Int, _ error: WebhookExchange.Failure) {
        count(alert, "failed")
        logger.warning(
            "the webhook did not accept an alert; trying again later",
            metadata: metadata(alert).merging(["tries": "\(tries)", "error": "\(error)"]) { $1 })
    }

    func gaveUp(_ alert: Alert, tries: Int, _ error: WebhookExchange.Failure) {
        count(alert, "given_up")
        logger.error(
            "an alert was dropped after too many failed calls",
            metadata: metadata(alert).merging(["tries": "\(tries)", "error": "\(error)"]) { $1 })
    }

    func superseded(_ alert: Alert) {
        count(alert, "superseded")
        logger.info("an alert was replaced by a newer one of the same group", metadata: metadata(alert))
    }

    func misconfigured(_ problems: [String]) {
        logger.error("alerts are off, because their configuration is wrong", metadata: ["problems": "\(problems)"])
    }

    func cannotWork(_ error: any Error) {
        if trouble.lines.withLock({ $0.isDue("away", .now) }) {
            logger.warning("cannot send alerts now", metadata: ["error": "\(error)"])
        }
    }

    func works() {
        if trouble.lines.withLock({ $0.end("away") }) { logger.notice("alerts are sent again") }
    }
}
