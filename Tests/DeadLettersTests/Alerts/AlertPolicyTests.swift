import StreamCore
import Testing

@testable import DeadLetters

@Suite struct AlertPolicyTests {
    static func policy(_ set: (inout AlertConfiguration) -> Void = { _ in }) -> AlertPolicy {
        var configuration = AlertConfiguration(url: "https://example.org/", secret: WebhookSecret("0123456789abcdef"))
        configuration.intervalMs = 600_000
        configuration.thresholds = [10, 100]
        set(&configuration)
        return AlertPolicy(configuration)
    }

    static func at(_ seconds: Int64) -> Timestamp {
        Timestamp(microseconds: 1_800_000_000_000_000 + seconds * 1_000_000)
    }

    @Test func atMostOneAlertOfAGroupGoesOutInAnInterval() {
        let policy = Self.policy()
        #expect(policy.decide(createdAt: Self.at(0), lastSent: nil, hasNewer: false, now: Self.at(1)) == .send)
        #expect(
            policy.decide(createdAt: Self.at(100), lastSent: Self.at(1), hasNewer: false, now: Self.at(101))
                == .postpone(until: Self.at(601)))
        #expect(
            policy.decide(createdAt: Self.at(100), lastSent: Self.at(1), hasNewer: false, now: Self.at(601)) == .send)
    }

    @Test func ofNewsThatWaitsOnlyTheNewestIsTold() {
        let policy = Self.policy()
        #expect(
            policy.decide(createdAt: Self.at(100), lastSent: Self.at(1), hasNewer: true, now: Self.at(101))
                == .supersede)
        // An endpoint that was down for minutes only receives the current alert.
        #expect(policy.decide(createdAt: Self.at(0), lastSent: nil, hasNewer: true, now: Self.at(61)) == .supersede)
        #expect(policy.decide(createdAt: Self.at(0), lastSent: nil, hasNewer: true, now: Self.at(2)) == .send)
    }

    @Test func delaysDoubleUpToTheCeilingAndEnd() {
        let policy = Self.policy {
            $0.initialBackoffMs = 1_000
            $0.maxBackoffMs = 5_000
            $0.maxTries = 5
        }
        let delays = (1...5).map { tries in
            policy.nextTry(after: tries, now: Self.at(0), jitter: 1).map {
                ($0.microseconds - Self.at(0).microseconds) / 1_000
            }
        }
        #expect(delays == [1_000, 2_000, 4_000, 5_000, nil])
        #expect(policy.nextTry(after: 2, now: Self.at(0), jitter: 0.5) == Self.at(1))
    }

    @Test func aThresholdIsToldOnceUntilItIsArmedAgain() {
        var policy = Self.policy()
        func told(_ letters: Int64) -> [Int64] { policy.observe(["a": letters]).map(\.threshold) }
        #expect(told(9).isEmpty)
        #expect(told(10) == [10])
        #expect(told(99).isEmpty)
        #expect(told(250) == [100])
        // The count fell below 100 but not below half of it, so the threshold does not fire again.
        #expect(told(60).isEmpty)
        #expect(told(150).isEmpty)
        #expect(told(49).isEmpty)
        #expect(told(100) == [100])
        #expect(policy.observe([:]).isEmpty)
        // A rise from none to many in one step is one alert.
        #expect(told(5_000) == [100])
    }

    @Test func aRestartTellsNothingAgain() {
        var policy = Self.policy()
        policy.resume(from: ["a": 12, "b": 300])
        #expect(policy.observe(["a": 15, "b": 280, "c": 11]).map(\.consumer) == ["c"])
        #expect(policy.observe(["a": 100, "b": 280, "c": 11]).map(\.consumer) == ["a"])
    }

    @Test func aConfigurationThatIsWrongIsExplained() {
        var configuration = AlertConfiguration(url: "ftp://user:word@host", secret: WebhookSecret("whsec_?"))
        configuration.thresholds = [10, 5]
        configuration.maxTries = 0
        configuration.maxBackoffMs = 1
        let problems = configuration.validate()
        #expect(problems.count == 6)
        #expect(!"\(configuration)".contains("whsec_?"))
        var right = AlertConfiguration(
            url: "https://hooks.example.org/a", secret: WebhookSecret("whsec_MDEyMzQ1Njc4OWFiY2RlZg=="))
        #expect(right.validate().isEmpty)
        right.secret = WebhookSecret("short")
        #expect(right.validate().count == 1)
    }

    /// The example comes from the reference libraries of the specification.
    @Test func theSignatureIsThatOfStandardWebhooks() throws {
        let key = try #require(WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").key)
        let signature = WebhookSignature(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: Array("{\"test\": 2432232314}".utf8),
            key: key)
        #expect(
            signature.headers.map(\.value) == [
                "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ])
    }
}
