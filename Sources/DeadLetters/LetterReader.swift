public import Kafka
internal import Letters
public import StreamCore

/// A record of a dead-letter topic, copied out of its batch.
public struct LetterRecord: Sendable, Hashable {
    public var topicPartition: TopicPartition
    public var offset: Int64
    public var timestampMs: Int64?
    public var key: [UInt8]?
    public var value: [UInt8]?
    public var headers: [RecordHeader]

    public init(
        topicPartition: TopicPartition, offset: Int64, timestampMs: Int64? = nil, key: [UInt8]? = nil,
        value: [UInt8]? = nil, headers: [RecordHeader] = []
    ) {
        self.topicPartition = topicPartition
        self.offset = offset
        self.timestampMs = timestampMs
        self.key = key
        self.value = value
        self.headers = headers
    }
}

/// The configuration of a dead-letter topic.
public enum LetterSource: Sendable, Hashable {
    /// The letters of one consumer of Millrace, and the topic of its retries.
    case consumer(name: String, retryTopic: String)
    /// The letters of another program; `consumer` is the name for letters that do not contain one.
    case foreign(dialect: LetterDialect, consumer: String?)
}

/// Reads a record of a dead-letter topic. No record makes it fail: a letter with missing, incomplete or contradictory
/// headers is a letter of unknown cause, and its origin is its own position.
public struct LetterReader: Sendable {
    private let source: LetterSource

    private static let messageLimit = LetterReport.messageLimit
    static let consumerLimit = 200

    public init(_ source: LetterSource) {
        self.source = source
    }

    public func read(_ record: LetterRecord) -> LetterNotice {
        let headers = LetterHeaders(record.headers)
        switch source {
        case .consumer(let name, let retryTopic):
            if let notice = millrace(record, headers, name, retryTopic) { return notice }
            return .letter(foreign(record, headers, .auto, name))
        case .foreign(let dialect, let consumer):
            return .letter(foreign(record, headers, dialect, consumer))
        }
    }

    // MARK: our own

    /// - Returns: nil if no consumer of Millrace wrote the record.
    private func millrace(
        _ record: LetterRecord, _ headers: LetterHeaders, _ consumer: String, _ retryTopic: String
    ) -> LetterNotice? {
        guard let report = LetterReport(headers) else { return nil }
        let errorClass = report.errorClass ?? LetterText.unknownClass
        if report.reason.isAboutBreaker {
            return .breaker(
                consumer: consumer, isOpen: report.reason == .breakerOpened,
                errorClass: errorClass, message: report.message ?? "")
        }
        guard let origin = report.origin else { return nil }
        let name = LetterName(
            consumer: consumer, group: report.group ?? "", origin: origin.partition, offset: origin.offset,
            mark: origin.timestampMs.map { String($0) } ?? "")
        let delivery = report.delivery.map { Int32(clamping: $0) }
        if report.reason == .resolved { return .resolved(name, delivery: delivery) }
        if report.reason == .discarded { return .discarded(name, delivery: delivery, isRowKept: report.isRowKept) }
        let isBlocked = report.reason == .blocked
        var letter = Letter(
            name: name, originAt: origin.timestampMs.flatMap(Self.timestamp), key: record.key, value: record.value,
            headers: record.headers.filter { !LetterHeaderNames.contain($0.name) },
            isOrdered: record.key != nil && report.isOrdered,
            reason: isBlocked ? .blocked : .failed,
            stage: isBlocked ? nil : report.stage,
            errorClass: isBlocked ? LetterText.blockedClass : errorClass,
            message: report.message ?? (isBlocked ? "an earlier event of this key failed" : ""), dialect: .millrace,
            replayTopic: retryTopic, delivery: max(1, delivery ?? 1))
        letter.isValueWithConsumer = report.kept >= .value && record.value == nil
        addEvent(to: &letter, headers)
        letter.eventID = report.eventID ?? letter.eventID
        return .letter(letter)
    }

    /// The event's identity in the headers of the original record.
    private func addEvent(to letter: inout Letter, _ headers: LetterHeaders) {
        letter.eventID = headers.text("event-id", limit: 40).flatMap { EventID($0) }
        letter.eventType = EventTypeHeader.names.lazy.compactMap { headers.text("\($0)", limit: 200) }.first
    }

    /// A hash of key and value, because other programs do not name the time of the original record.
    private static func mark(of record: LetterRecord) -> String {
        var hash = StableHash()
        for part in [record.key, record.value] {
            // The length is included, so NULL differs from empty, and the parts cannot run into each other.
            hash.mix(UInt64(bitPattern: Int64(part?.count ?? -1)))
            for byte in part ?? [] { hash.mix(byte) }
        }
        return String(hash.value, radix: 16)
    }

    static func timestamp(_ milliseconds: Int64) -> Timestamp? {
        // PostgreSQL's timestamps end in the year 294276.
        guard (0..<9_000_000_000_000_000).contains(milliseconds) else { return nil }
        return Timestamp(microseconds: milliseconds * 1_000)
    }

    // MARK: others'

    /// The origin and the error of another program's letter, as far as its headers contain them.
    private struct Account {
        var topic: String?
        var partition: Int32?
        var offset: Int64?
        var consumer: String?
        var stage: String?
        var errorClass: String?
        var message: String?
        var originAt: Timestamp?
    }

    private func foreign(
        _ record: LetterRecord, _ headers: LetterHeaders, _ configured: LetterDialect, _ consumer: String?
    ) -> Letter {
        let candidates =
            configured == .auto || configured == .millrace
            ? LetterDialect.foreign : [configured] + LetterDialect.foreign.filter { $0 != configured }
        let dialect =
            candidates.first { dialect in
                dialect.headerPrefixes.contains { headers.containsAny(withPrefix: $0) }
            } ?? .unknown
        let account = account(headers, dialect)
        // An incomplete origin cannot be used. The letter's own position is at least unique.
        let isWhole = account.topic != nil && account.partition != nil && account.offset != nil
        let name = LetterName(
            consumer: consumer ?? account.consumer ?? record.topicPartition.topic,
            origin: isWhole
                ? TopicPartition(topic: account.topic ?? "", partition: account.partition ?? 0) : record.topicPartition,
            offset: isWhole ? account.offset ?? 0 : record.offset, mark: Self.mark(of: record))
        // A retry to the topic that contains the letter would repeat forever.
        let replayTopic = account.topic == record.topicPartition.topic ? nil : account.topic
        var letter = Letter(
            name: name, originAt: account.originAt, key: record.key, value: record.value, headers: record.headers,
            isOrdered: false, reason: .failed, stage: account.stage,
            errorClass: account.errorClass ?? LetterText.unknownClass, message: account.message ?? "",
            dialect: dialect, replayTopic: replayTopic, delivery: 1)
        addEvent(to: &letter, headers)
        return letter
    }

    private func account(_ headers: LetterHeaders, _ dialect: LetterDialect) -> Account {
        switch dialect {
        case .auto, .millrace, .unknown: Account()
        case .kip1191: shareGroup(headers)
        case .streams: streams(headers)
        case .connect: connect(headers)
        case .spring: spring(headers)
        }
    }

    private func shareGroup(_ headers: LetterHeaders) -> Account {
        let message = headers.text("__dlq.errors.message", limit: Self.messageLimit)
        return Account(
            topic: headers.topic("__dlq.errors.topic"), partition: headers.smallNumber("__dlq.errors.partition"),
            offset: headers.number("__dlq.errors.offset"),
            consumer: headers.text("__dlq.errors.group", limit: Self.consumerLimit),
            // Brokers give no error class, but one of two messages.
            errorClass: message.flatMap { message in
                if message.contains("rejected by client") { return "rejected" }
                return message.contains("delivery count") ? "delivery_count_exceeded" : nil
            },
            message: message)
    }

    private func streams(_ headers: LetterHeaders) -> Account {
        // The text of a Throwable begins with its class, often followed by a colon and the message.
        let exception = headers.text("__streams.errors.exception", limit: Self.messageLimit)
        let name = exception.map { $0.prefix { $0 != ":" && $0 != " " && $0 != "\n" } }
        return Account(
            topic: headers.topic("__streams.errors.topic"),
            partition: headers.smallNumber("__streams.errors.partition"),
            offset: headers.number("__streams.errors.offset"),
            errorClass: name.map { LetterText.errorClass(String($0)) },
            message: headers.text("__streams.errors.message", limit: Self.messageLimit) ?? exception)
    }

    private func connect(_ headers: LetterHeaders) -> Account {
        Account(
            topic: headers.topic("__connect.errors.topic"),
            partition: headers.smallNumber("__connect.errors.partition"),
            offset: headers.number("__connect.errors.offset"),
            consumer: headers.text("__connect.errors.connector.name", limit: Self.consumerLimit),
            stage: headers.text("__connect.errors.stage", limit: 40)?.lowercased(),
            errorClass: headers.text("__connect.errors.exception.class.name", limit: 400).map(LetterText.errorClass),
            message: headers.text("__connect.errors.exception.message", limit: Self.messageLimit))
    }

    private func spring(_ headers: LetterHeaders) -> Account {
        // Retry topics keep the first position under names without `dlt-`. If both exist, this is the origin.
        let prefix = headers.contains("kafka_original-topic") ? "kafka_original-" : "kafka_dlt-original-"
        let causes = [
            "kafka_dlt-exception-cause-fqcn", "kafka_exception-cause-fqcn", "kafka_dlt-exception-fqcn",
            "kafka_exception-fqcn",
        ]
        let messages = ["kafka_dlt-exception-message", "kafka_exception-message"]
        let groups = ["kafka_dlt-original-consumer-group", "kafka_original-consumer-group"]
        return Account(
            topic: headers.topic(prefix + "topic"),
            partition: headers.binaryNumber(prefix + "partition", width: 4).flatMap { Int32(exactly: $0) },
            offset: headers.binaryNumber(prefix + "offset", width: 8),
            consumer: groups.lazy.compactMap { headers.text($0, limit: Self.consumerLimit) }.first,
            // The cause contains more information, because the outermost exception is the listener's wrapper.
            errorClass: causes.lazy.compactMap { headers.text($0, limit: 400) }.first.map(LetterText.errorClass),
            message: messages.lazy.compactMap { headers.text($0, limit: Self.messageLimit) }.first,
            originAt: headers.binaryNumber(prefix + "timestamp", width: 8).flatMap(Self.timestamp))
    }
}
