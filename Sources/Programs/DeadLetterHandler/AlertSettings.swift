internal import Daemon
internal import DeadLetters
internal import Settings

/// `[alerts]`: whom to tell that dead letters need a person.
struct AlertSettings: FeatureSettings {
    /// Nil when nobody is to be told.
    var configuration: AlertConfiguration?

    init(from reader: SettingsReader) {
        let section = reader.section("alerts", "A webhook to call when dead letters need a person.")
        let url = section.optionalString(
            "url", example: "https://alerts.example.com/millrace",
            "Where to POST alerts, as JSON, signed as standardwebhooks.com says. Without it there are none.")
        let secret = section.secret(
            "secret", example: "webhook-secret", "What signs them: whsec_ and base64, or any other text.")
        var alerts = AlertConfiguration(url: url ?? "", secret: WebhookSecret(secret?.reveal() ?? ""))
        alerts.intervalMs = section.integer(
            "interval_ms", default: alerts.intervalMs, in: 1...604_800_000,
            "The time between two alerts of one kind about one group of letters, at least.")
        let threshold = section.integer(
            "open_letters", default: Int(alerts.thresholds.first ?? 0), in: 0...1_000_000_000,
            "An alert when a consumer has so many open letters, at ten times and at a hundred times as many; 0 for never."
        )
        alerts.thresholds = threshold == 0 ? [] : [1, 10, 100].map { Int64(threshold) * $0 }
        alerts.timeoutMs = section.integer(
            "timeout_ms", default: alerts.timeoutMs, in: 10...60_000, "How long a call may take.")
        alerts.maxTries = section.integer(
            "tries", default: alerts.maxTries, in: 1...1_000, "After so many failed calls an alert is given up.")
        guard url != nil else { return }
        // A secret that could not be read was complained of already, and is not an empty one.
        if secret != nil { section.reject(alerts.validate()) } else { section.reject("secret", "required with a url") }
        configuration = alerts
    }
}
