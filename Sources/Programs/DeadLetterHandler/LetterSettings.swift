internal import Daemon
internal import DeadLetters
internal import ProjectionPrograms
internal import Projections
internal import Settings

/// `[letters]` and `[retries]`: the consumers whose dead letters are stored, and the letters that are retried
/// automatically.
struct LetterSettings: FeatureSettings {
    var configuration: DeadLetterHandlerConfiguration

    init(from reader: SettingsReader) {
        let section = reader.section("letters", "Which dead letters the daemon keeps, and for how long.")
        let consumers = section.strings(
            "consumers", default: ["order-summary", "dashboard"],
            "Names of the projections whose dead letters the daemon handles.")
        let letterPrefix = section.string(
            "letter_topic_prefix", default: "dlq.",
            "Prefix of the dead-letter topics. The name of the consumer follows it.")
        let retryPrefix = section.string(
            "retry_topic_prefix", default: "retry.",
            "Prefix of the retry topics. The name of the consumer follows it.")
        let service = section.string(
            "service", default: "millrace",
            "First part of the consumer group's name, which is service.dead-letter-handler.vN.")
        var letters = DeadLetterHandlerConfiguration(consumers: [], service: service)
        letters.consumers = consumers.map {
            DeadLetterHandlerConfiguration.ConsumerTopics(
                $0, letterTopic: letterPrefix + $0, retryTopic: retryPrefix + $0)
        }
        letters.ingest.instanceID = ProjectionSettings.instanceID(section, example: "dead-letter-handler-0")
        letters.foreignTopics = Self.foreignTopics(section)
        letters.retentionDays = section.integer(
            "retention_days", default: letters.retentionDays, in: 1...3_650,
            "How long resolved and discarded letters are kept. Open letters are never deleted.")
        letters.pollIntervalMs = section.integer(
            "poll_interval_ms", default: letters.pollIntervalMs, in: 1...600_000,
            "Interval at which the daemon looks for letters that are due for a retry.")
        letters.stuckAfterMs = section.integer(
            "stuck_after_ms", default: letters.stuckAfterMs, in: 1_000...86_400_000,
            "Time after which the daemon sends a letter again if the projection has not answered.")
        letters.policies = Self.policies(
            reader.section(
                "retries",
                "Which letters are retried automatically, and when."))
        section.reject(letters.validate())
        configuration = letters
    }

    private static func foreignTopics(
        _ section: SectionReader
    ) -> [DeadLetterHandlerConfiguration.ForeignTopic] {
        let dialects = LetterDialect.allCases.filter { $0 != .millrace }.map(\.rawValue)
        let topics = section.properties(
            "foreign", underscoreIsDot: false, examples: [("orders.DLT", "\"spring\""), ("connect-dlq", "\"auto\"")],
            "Dead-letter topics of other programs, each with the format of its headers: \(dialects.joined(separator: ", "))."
        )
        return topics.sorted { $0.key < $1.key }.compactMap { topic, word in
            guard let dialect = LetterDialect(rawValue: word), dialect != .millrace else {
                section.reject(
                    "foreign", entry: topic, "\"\(word)\" is not one of: \(dialects.joined(separator: ", "))")
                return nil
            }
            return DeadLetterHandlerConfiguration.ForeignTopic(topic, dialect: dialect)
        }
    }

    private static func policies(_ section: SectionReader) -> [RetryPolicy] {
        let looking = RetryPolicy.transientLooking
        let classes = section.strings(
            "error_classes", default: looking.errorClasses,
            """
            Error classes whose letters are retried; * stands for any text. Letters of other classes wait for an \
            operator.
            """)
        var policy = RetryPolicy(errorClasses: classes)
        policy.initialDelayMs = section.integer(
            "initial_ms", default: looking.initialDelayMs, in: 1...86_400_000,
            "Delay before the first retry. Each further delay is twice as long as the one before.")
        policy.ceilingMs = section.integer(
            "ceiling_ms", default: looking.ceilingMs, in: 1...2_592_000_000,
            "Maximum delay between two retries.")
        policy.attemptsLimit = section.integer(
            "attempts", default: looking.attemptsLimit, in: 1...1_000,
            "Number of failed retries after which a letter waits for an operator.")
        let own = section.properties(
            "policies", underscoreIsDot: false,
            examples: [("sql_23503", "\"initial_ms=1000 ceiling_ms=60000 attempts=20\"")],
            """
            Error classes with values of their own for initial_ms, ceiling_ms and attempts. They replace the values \
            above; a value that is left out stays as above.
            """)
        var policies: [RetryPolicy] = []
        // Longer patterns come first, whatever the order in the file.
        for (pattern, text) in own.sorted(by: { ($1.key.count, $0.key) < ($0.key.count, $1.key) }) {
            do throws(PolicyProblem) {
                policies.append(try Self.policy(pattern, text, basis: policy))
            } catch {
                section.reject("policies", entry: pattern, error.text)
            }
        }
        if !classes.isEmpty { policies.append(policy) }
        return policies
    }

    private struct PolicyProblem: Error {
        let text: String
    }

    private static func policy(
        _ pattern: String, _ text: String, basis: RetryPolicy
    ) throws(PolicyProblem) -> RetryPolicy {
        var policy = basis
        policy.errorClasses = [pattern]
        for word in text.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let number = Int(parts[1]) else {
                throw PolicyProblem(text: "\"\(word)\" is not name=number")
            }
            switch parts[0] {
            case "initial_ms": policy.initialDelayMs = number
            case "ceiling_ms": policy.ceilingMs = number
            case "attempts": policy.attemptsLimit = number
            default: throw PolicyProblem(text: "\"\(parts[0])\" is not one of: initial_ms, ceiling_ms, attempts")
            }
        }
        if let problem = policy.validate().first { throw PolicyProblem(text: problem) }
        return policy
    }
}
