import Testing

@testable import DeadLetters

@Suite struct PolicyTests {
    @Test(arguments: [
        ("*", "", true), ("*", "anything", true), ("sql_*", "sql_40001", true), ("sql_*", "mysql_1", false),
        ("*timeout*", "read_timeout_error", true), ("sql_2350?", "sql_23503", true), ("sql_2350?", "sql_2350", false),
        ("a*b*c", "aXbYbZc", true), ("a*b*c", "acb", false), ("", "", true), ("", "a", false),
    ])
    func patterns(_ pattern: String, _ text: String, _ matches: Bool) {
        #expect(Glob.matches(pattern, text) == matches)
    }

    @Test func delaysDoubleUpToTheCeilingAndEnd() {
        var random = SystemRandomNumberGenerator()
        let policy = RetryPolicy(
            errorClasses: ["*"], initialDelayMs: 1_000, ceilingMs: 5_000, attemptsLimit: 5)
        for (attempts, step) in [(0, 1_000), (1, 2_000), (2, 4_000), (3, 5_000), (4, 5_000)] {
            for _ in 0..<50 {
                let delay = policy.delayMs(failedAttempts: attempts, using: &random) ?? -1
                #expect(delay >= Int64(step) / 2 && delay <= Int64(step))
            }
        }
        #expect(policy.delayMs(failedAttempts: 5, using: &random) == nil)
    }

    @Test func theFirstPolicyThatNamesAClassCounts() {
        var random = SystemRandomNumberGenerator()
        let policies = RetryPolicies(policies: [
            RetryPolicy(errorClasses: ["sql_23503"], initialDelayMs: 10, ceilingMs: 10),
            RetryPolicy(errorClasses: ["sql_*"], initialDelayMs: 10_000, ceilingMs: 10_000),
        ])
        #expect(policies.delayMs("sql_23503", failedAttempts: 0, using: &random) ?? .max <= 10)
        #expect(policies.delayMs("sql_40001", failedAttempts: 0, using: &random) ?? 0 >= 5_000)
        #expect(policies.delayMs("invalid_json", failedAttempts: 0, using: &random) == nil)
    }

    @Test func aWrongConfigurationSaysSo() {
        var configuration = DeadLetterHandlerConfiguration(consumers: ["one", "one", "bad name"])
        configuration.foreignTopics = [.init("retry.one"), .init("x", dialect: .millrace)]
        configuration.policies = [RetryPolicy(errorClasses: [], initialDelayMs: 0)]
        configuration.stuckAfterMs = 0
        let problems = configuration.validate().joined(separator: "\n")
        for part in [
            "one is listed twice", "Kafka does not allow the topic name \"dlq.bad name\"",
            "retry.one is both read and written", "a consumer of Millrace", "names no error class", "initialDelayMs",
            "stuckAfterMs",
        ] {
            #expect(problems.contains(part), "\(part) is missing")
        }
        #expect(DeadLetterHandlerConfiguration(consumers: ["one"]).validate().isEmpty)
        let empty = DeadLetterHandlerConfiguration(consumers: [])
        #expect(empty.validate() == ["no consumer and no foreign topic is configured"])
    }
}
