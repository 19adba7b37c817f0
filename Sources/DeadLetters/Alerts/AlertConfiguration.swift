internal import Foundation

/// The receiver and the rate of alerts about letters that need an operator. The defaults suit an endpoint that may be
/// unavailable for hours.
public struct AlertConfiguration: Sendable, Hashable {
    /// The URL of the endpoint: `https://…`, or `http://…` in a trusted network.
    public var url: String
    /// The key that signs the messages: `whsec_` and base64, or any other text for its bytes.
    public var secret: WebhookSecret

    /// Minimum time between two alerts of the same kind and group, in milliseconds.
    public var intervalMs = 900_000
    /// Numbers of open letters of a consumer at which an alert is sent. Each number is used again after the letters
    /// fall below half of it.
    public var thresholds: [Int64] = [1_000, 10_000, 100_000]

    /// Time between two searches for alerts, in milliseconds.
    public var pollIntervalMs = 1_000
    /// Maximum time for a call of the endpoint, in milliseconds.
    public var timeoutMs = 10_000
    /// Number of attempts after which an alert is dropped.
    public var maxTries = 25
    /// Delay after the first failed attempt, in milliseconds. Each further delay is twice as long.
    public var initialBackoffMs = 1_000
    /// Maximum delay between two attempts, in milliseconds.
    public var maxBackoffMs = 600_000

    public init(url: String, secret: WebhookSecret) {
        self.url = url
        self.secret = secret
    }

    /// The problems of the values; empty if there are none.
    public func validate() -> [String] {
        var problems: [String] = []
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        let parts = URLComponents(string: url)
        let scheme = parts?.scheme?.lowercased()
        require(
            (scheme == "https" || scheme == "http") && parts?.host?.isEmpty == false,
            "url: must be https://host/path or http://host/path")
        // The URL is logged, so it must not contain credentials.
        require(parts?.user == nil && parts?.password == nil, "url: must not hold a user or password")
        problems += secret.validate().map { "secret: \($0)" }
        require((1...604_800_000).contains(intervalMs), "intervalMs: must be 1 to 604800000")
        require(thresholds.allSatisfy { $0 >= 1 }, "thresholds: must be 1 or more")
        require(thresholds == Set(thresholds).sorted(), "thresholds: must be in ascending order")
        require((10...60_000).contains(pollIntervalMs), "pollIntervalMs: must be 10 to 60000")
        require((10...60_000).contains(timeoutMs), "timeoutMs: must be 10 to 60000")
        require((1...1_000).contains(maxTries), "maxTries: must be 1 to 1000")
        require((1...3_600_000).contains(initialBackoffMs), "initialBackoffMs: must be 1 to 3600000")
        require(
            maxBackoffMs >= initialBackoffMs && maxBackoffMs <= 86_400_000,
            "maxBackoffMs: must be initialBackoffMs to 86400000")
        return problems
    }
}
