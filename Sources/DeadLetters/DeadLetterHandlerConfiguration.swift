internal import Letters
public import Projections

/// Whose dead letters are handled, and how.
public struct DeadLetterHandlerConfiguration: Sendable {
    /// One of our consumers.
    public struct ConsumerTopics: Sendable, Hashable {
        /// The projection's name.
        public var name: String
        /// Where its letters are: `dlq.<name>`.
        public var letterTopic: String
        /// Where its retries go: `retry.<name>`.
        public var retryTopic: String

        public init(_ name: String, letterTopic: String? = nil, retryTopic: String? = nil) {
            self.name = name
            self.letterTopic = letterTopic ?? "dlq.\(name)"
            self.retryTopic = retryTopic ?? "retry.\(name)"
        }
    }

    /// A dead-letter topic of others.
    public struct ForeignTopic: Sendable, Hashable {
        public var topic: String
        /// What its letters' headers are; `auto` looks at each letter.
        public var dialect: LetterDialect
        /// What to call the consumer; nil for what the letters call it, and the topic's name where they do not.
        public var consumer: String?

        public init(_ topic: String, dialect: LetterDialect = .auto, consumer: String? = nil) {
            self.topic = topic
            self.dialect = dialect
            self.consumer = consumer
        }
    }

    public var consumers: [ConsumerTopics]
    public var foreignTopics: [ForeignTopic] = []

    /// When letters are retried by themselves; of several policies for a class the first counts. Letters of others
    /// never are.
    public var policies: [RetryPolicy] = [.transientLooking]
    /// Milliseconds after which a letter that was sent and not answered is sent again; each further time it waits twice
    /// as long, up to 32 times as long: the consumer may only be behind.
    public var stuckAfterMs = 300_000
    /// Days that resolved and discarded letters are kept. Open ones are kept for ever.
    public var retentionDays = 30

    /// Milliseconds between two looks for what is due while nothing is.
    public var pollIntervalMs = 500
    /// Milliseconds between two attempts of a standby to become the one that sends, about.
    public var electionIntervalMs = 1_000
    /// Milliseconds between two counts for the metrics.
    public var statisticsIntervalMs = 15_000
    /// Milliseconds between two looks for letters past their retention.
    public var pruneIntervalMs = 60_000
    /// Milliseconds after which a topic that took no letters is tried again.
    public var topicHoldMs = 10_000

    /// Letters that are looked up as due at once, at most; each brings what is before it in its sequence.
    public var dueLettersAtOnce = 2_000
    /// Letters of one sequence that are sent at once, at most; so many only after many were applied in a row.
    public var sequenceLetters = 10_000
    /// Letters that are looked up as not answered at once, at most; each brings what was sent with it.
    public var stuckLetters = 1_000
    /// Letters in flight to Kafka, at most.
    public var sendLetters = 2_000
    /// Bytes of letters in flight to Kafka, about.
    public var sendBytes = 4 << 20
    /// Letters pruned by one statement, at most.
    public var pruneLetters = 1_000

    /// How the letters are read. A topic whose beginning is gone is read from where it begins now.
    public var ingest: ProjectionRunnerConfiguration

    /// - Parameters:
    ///   - consumers: the projections' names.
    ///   - service: the first part of the consumer group's name.
    public init(consumers: [String], service: String = "millrace") {
        self.consumers = consumers.map { ConsumerTopics($0) }
        ingest = ProjectionRunnerConfiguration(service: service)
        ingest.onTruncatedHistory = .continue
    }

    /// What is wrong with the values, in words; empty when nothing is.
    public func validate() -> [String] {
        var problems = topicProblems() + ingest.validate()
        for policy in policies {
            problems += policy.validate().map { "policy for \(policy.errorClasses.joined(separator: ", ")): \($0)" }
        }
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        require(stuckAfterMs >= 1_000, "stuckAfterMs is below 1000")
        require((1...3_650).contains(retentionDays), "retentionDays is not within 1…3650")
        require((1...600_000).contains(pollIntervalMs), "pollIntervalMs is not within 1…600000")
        require((10...600_000).contains(electionIntervalMs), "electionIntervalMs is not within 10…600000")
        require((100...3_600_000).contains(statisticsIntervalMs), "statisticsIntervalMs is not within 100…3600000")
        require((100...86_400_000).contains(pruneIntervalMs), "pruneIntervalMs is not within 100…86400000")
        require((1...3_600_000).contains(topicHoldMs), "topicHoldMs is not within 1…3600000")
        require((1...10_000).contains(dueLettersAtOnce), "dueLettersAtOnce is not within 1…10000")
        require((1...10_000).contains(sequenceLetters), "sequenceLetters is not within 1…10000")
        require((1...10_000).contains(stuckLetters), "stuckLetters is not within 1…10000")
        require((1...10_000).contains(sendLetters), "sendLetters is not within 1…10000")
        require((1...(64 << 20)).contains(sendBytes), "sendBytes is not within 1…64 MiB")
        require((1...10_000).contains(pruneLetters), "pruneLetters is not within 1…10000")
        return problems
    }

    private func topicProblems() -> [String] {
        var problems: [String] = []
        if consumers.isEmpty && foreignTopics.isEmpty { problems.append("there is no topic to read letters from") }
        var names: Set<String> = []
        for consumer in consumers where !names.insert(consumer.name).inserted {
            problems.append("consumer \(consumer.name) is there twice")
        }
        if consumers.contains(where: { $0.name.isEmpty || $0.name.utf8.count > LetterReader.consumerLimit }) {
            problems.append("a consumer's name is empty or longer than \(LetterReader.consumerLimit) bytes")
        }
        let read = consumers.map(\.letterTopic) + foreignTopics.map(\.topic)
        var topics: Set<String> = []
        for topic in read {
            if !LetterText.isTopicName(topic) { problems.append("no topic can be called \"\(topic)\"") }
            if !topics.insert(topic).inserted { problems.append("topic \(topic) is there twice") }
        }
        for consumer in consumers {
            if !LetterText.isTopicName(consumer.retryTopic) {
                problems.append("no topic can be called \"\(consumer.retryTopic)\"")
            }
            if topics.contains(consumer.retryTopic) {
                problems.append("topic \(consumer.retryTopic) is both read and written")
            }
        }
        for foreign in foreignTopics where foreign.dialect == .millrace {
            problems.append("topic \(foreign.topic): a consumer of ours is named among the consumers")
        }
        return problems
    }

    /// What is known of each topic to read.
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
