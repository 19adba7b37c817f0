internal import Foundation

/// Whom to tell that letters need a person, and how often. The defaults bear an endpoint that is down for hours.
public struct AlertConfiguration: Sendable, Hashable {
    /// The endpoint, `https://…`; `http://…` where the network is trusted.
    public var url: String
    /// What signs the messages: `whsec_` and base64, or any other text for its bytes.
    public var secret: WebhookSecret

    /// Milliseconds between two alerts of the same kind and group, at least.
    public var intervalMs = 900_000
    /// Alert when a consumer's open letters reach these numbers. A number is armed again below half of it.
    public var thresholds: [Int64] = [1_000, 10_000, 100_000]

    /// Milliseconds between two looks at what there is to tell.
    public var pollIntervalMs = 1_000
    /// Milliseconds for a whole exchange with the endpoint.
    public var timeoutMs = 10_000
    /// Attempts for an alert before it is given up.
    public var maxTries = 25
    /// Milliseconds after the first failed attempt; each further one waits twice as long.
    public var initialBackoffMs = 1_000
    /// Milliseconds between two attempts, at most.
    public var maxBackoffMs = 600_000

    public init(url: String, secret: WebhookSecret) {
        self.url = url
        self.secret = secret
    }

    /// All that is wrong with it; empty when nothing is.
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
        // The URL is logged.
        require(parts?.user == nil && parts?.password == nil, "url: must not hold a user or password")
        problems += secret.validate().map { "secret: \($0)" }
        require((1...604_800_000).contains(intervalMs), "intervalMs: must be 1 to 604800000")
        require(thresholds.allSatisfy { $0 >= 1 }, "thresholds: must be 1 or more")
        require(thresholds == Set(thresholds).sorted(), "thresholds: must ascend")
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
