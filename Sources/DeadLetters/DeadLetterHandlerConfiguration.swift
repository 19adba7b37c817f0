internal import Letters
public import Projections

/// The dead letters that the handler processes, and how.
public struct DeadLetterHandlerConfiguration: Sendable {
    /// A consumer of Millrace.
    public struct ConsumerTopics: Sendable, Hashable {
        /// The projection's name.
        public var name: String
        /// The topic of its letters: `dlq.<name>`.
        public var letterTopic: String
        /// The topic of its retries: `retry.<name>`.
        public var retryTopic: String

        public init(_ name: String, letterTopic: String? = nil, retryTopic: String? = nil) {
            self.name = name
            self.letterTopic = letterTopic ?? "dlq.\(name)"
            self.retryTopic = retryTopic ?? "retry.\(name)"
        }
    }

    /// A dead-letter topic of another program.
    public struct ForeignTopic: Sendable, Hashable {
        public var topic: String
        /// The format of the letters' headers. `auto` detects it for each letter.
        public var dialect: LetterDialect
        /// The name of the consumer; nil for the name in the letters, or the topic's name if they have none.
        public var consumer: String?

        public init(_ topic: String, dialect: LetterDialect = .auto, consumer: String? = nil) {
            self.topic = topic
            self.dialect = dialect
            self.consumer = consumer
        }
    }

    public var consumers: [ConsumerTopics]
    public var foreignTopics: [ForeignTopic] = []

    /// When letters are retried automatically. If several policies match an error class, the first one counts. Letters
    /// without a policy are not retried.
    public var policies: [RetryPolicy] = [.transientLooking]
    /// Milliseconds after which a letter without an answer is sent again. The time doubles with each attempt, up to 32
    /// times, because the consumer may only have a lag.
    public var stuckAfterMs = 300_000
    /// Days that resolved and discarded letters are kept. Open letters are never deleted.
    public var retentionDays = 30

    /// Milliseconds between two searches for due letters while there are none.
    public var pollIntervalMs = 500
    /// Approximate milliseconds between two attempts of a standby to become the sender.
    public var electionIntervalMs = 1_000
    /// Milliseconds between two counts for the metrics.
    public var statisticsIntervalMs = 15_000
    /// Milliseconds between two searches for letters after their retention.
    public var pruneIntervalMs = 60_000
    /// Milliseconds after which a topic that refused letters is tried again.
    public var topicHoldMs = 10_000

    /// Maximum number of letters that one search finds as due. Each brings the letters of its key before it.
    public var dueLettersAtOnce = 2_000
    /// Maximum number of letters of one key that are sent together. It is reached only after many letters were applied
    /// without a failure.
    public var sequenceLetters = 10_000
    /// Maximum number of letters that one search finds without an answer. Each brings the letters that were sent with
    /// it.
    public var stuckLetters = 1_000
    /// Maximum number of letters in flight to Kafka.
    public var sendLetters = 2_000
    /// Approximate maximum size of the letters in flight to Kafka, in bytes.
    public var sendBytes = 4 << 20
    /// Maximum number of letters that one statement deletes.
    public var pruneLetters = 1_000

    /// How the letters are read. If the beginning of a topic is deleted, reading continues at its new beginning.
    public var ingest: ProjectionRunnerConfiguration

    /// A consumer writes the letters of a batch to many partitions, so they arrive in several parts. A transaction that
    /// stores letters costs as much as about 20 letters, and nobody waits for a letter for less than this time.
    private static let lingerMs = 50

    /// - Parameters:
    ///   - consumers: the projections' names.
    ///   - service: the first part of the consumer group's name.
    public init(consumers: [String], service: String = "millrace") {
        self.consumers = consumers.map { ConsumerTopics($0) }
        ingest = ProjectionRunnerConfiguration(service: service)
        ingest.onTruncatedHistory = .continue
        ingest.batchLingerMs = Self.lingerMs
    }

    /// The problems of the values; empty if there are none.
    public func validate() -> [String] {
        var problems = topicProblems() + ingest.validate()
        for policy in policies {
            problems += policy.validate().map { "policy for \(policy.errorClasses.joined(separator: ", ")): \($0)" }
        }
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        require(stuckAfterMs >= 1_000, "stuckAfterMs is below 1000")
        require((1...3_650).contains(retentionDays), "retentionDays is outside 1…3650")
        require((1...600_000).contains(pollIntervalMs), "pollIntervalMs is outside 1…600000")
        require((10...600_000).contains(electionIntervalMs), "electionIntervalMs is outside 10…600000")
        require((100...3_600_000).contains(statisticsIntervalMs), "statisticsIntervalMs is outside 100…3600000")
        require((100...86_400_000).contains(pruneIntervalMs), "pruneIntervalMs is outside 100…86400000")
        require((1...3_600_000).contains(topicHoldMs), "topicHoldMs is outside 1…3600000")
        require((1...10_000).contains(dueLettersAtOnce), "dueLettersAtOnce is outside 1…10000")
        require((1...10_000).contains(sequenceLetters), "sequenceLetters is outside 1…10000")
        require((1...10_000).contains(stuckLetters), "stuckLetters is outside 1…10000")
        require((1...10_000).contains(sendLetters), "sendLetters is outside 1…10000")
        require((1...(64 << 20)).contains(sendBytes), "sendBytes is outside 1…64 MiB")
        require((1...10_000).contains(pruneLetters), "pruneLetters is outside 1…10000")
        return problems
    }

    private func topicProblems() -> [String] {
        var problems: [String] = []
        if consumers.isEmpty && foreignTopics.isEmpty {
            problems.append("no consumer and no foreign topic is configured")
        }
        var names: Set<String> = []
        for consumer in consumers where !names.insert(consumer.name).inserted {
            problems.append("consumer \(consumer.name) is listed twice")
        }
        if consumers.contains(where: { $0.name.isEmpty || $0.name.utf8.count > LetterReader.consumerLimit }) {
            problems.append("a consumer's name is empty or longer than \(LetterReader.consumerLimit) bytes")
        }
        let read = consumers.map(\.letterTopic) + foreignTopics.map(\.topic)
        var topics: Set<String> = []
        for topic in read {
            if !LetterText.isTopicName(topic) { problems.append("Kafka does not allow the topic name \"\(topic)\"") }
            if !topics.insert(topic).inserted { problems.append("topic \(topic) is listed twice") }
        }
        for consumer in consumers {
            if !LetterText.isTopicName(consumer.retryTopic) {
                problems.append("Kafka does not allow the topic name \"\(consumer.retryTopic)\"")
            }
            if topics.contains(consumer.retryTopic) {
                problems.append("topic \(consumer.retryTopic) is both read and written")
            }
        }
        for foreign in foreignTopics where foreign.dialect == .millrace {
            problems.append("topic \(foreign.topic): list a consumer of Millrace among the consumers")
        }
        return problems
    }

    /// The properties of each topic to read.
    var sources: [String: LetterSource] {
        var sources: [String: LetterSource] = [:]
        for foreign in foreignTopics {
            sources[foreign.topic] = .foreign(dialect: foreign.dialect, consumer: foreign.consumer)
        }
        for consumer in consumers {
            sources[consumer.letterTopic] = .consumer(name: consumer.name, retryTopic: consumer.retryTopic)
        }
        return sources
    }
}
