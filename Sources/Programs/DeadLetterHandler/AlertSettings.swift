internal import Daemon
internal import DeadLetters
internal import Settings

/// `[alerts]`: the receiver of alerts about dead letters that need an operator.
struct AlertSettings: FeatureSettings {
    /// nil if no alerts are sent.
    var configuration: AlertConfiguration?

    init(from reader: SettingsReader) {
        let section = reader.section("alerts", "A webhook that the daemon calls when dead letters need an operator.")
        let url = section.optionalString(
            "url", example: "https://alerts.example.com/millrace",
            """
            The URL that receives alerts. The daemon sends a POST request with JSON, signed as standardwebhooks.com \
            describes. Without a URL the daemon sends no alerts.
            """)
        let secret = section.secret(
            "secret", example: "webhook-secret",
            "The key that signs alerts: whsec_ and base64, or any other text.")
        var alerts = AlertConfiguration(url: url ?? "", secret: WebhookSecret(secret?.reveal() ?? ""))
        alerts.intervalMs = section.integer(
            "interval_ms", default: alerts.intervalMs, in: 1...604_800_000,
            """
            Minimum time between two alerts of one kind about one group of letters. Raise it if alerts repeat too \
            often.
            """)
        let threshold = section.integer(
            "open_letters", default: Int(alerts.thresholds.first ?? 0), in: 0...1_000_000_000,
            """
            Number of open letters of one consumer that causes an alert. Ten times and a hundred times this number \
            each cause one more. 0 causes none.
            """
        )
        alerts.thresholds = threshold == 0 ? [] : [1, 10, 100].map { Int64(threshold) * $0 }
        alerts.timeoutMs = section.integer(
            "timeout_ms", default: alerts.timeoutMs, in: 10...60_000,
            "Maximum duration of one call of the webhook.")
        alerts.maxTries = section.integer(
            "tries", default: alerts.maxTries, in: 1...1_000,
            "Number of failed calls after which the daemon drops an alert.")
        guard url != nil else { return }
        // If the secret could not be read, a problem was reported already. Do not report it as missing too.
        if secret != nil { section.reject(alerts.validate()) } else { section.reject("secret", "required with a url") }
        configuration = alerts
    }
}
