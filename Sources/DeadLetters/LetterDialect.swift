internal import Letters

/// The format in which a dead letter describes its origin and its error.
///
/// - `millrace`: `__dlq.errors.*` and `millrace.*`, UTF-8 text; docs/dead-letters.md.
/// - `kip1191`: `__dlq.errors.` with `topic`, `partition`, `offset`, `group`, `delivery.count`, `message`, UTF-8 text.
///   Source: KIP-1191; Apache Kafka, `ShareGroupDLQRecordHelper`.
/// - `streams`: `__streams.errors.` with `exception` (a `Throwable`'s text: class and message), `message`,
///   `stacktrace`, `topic`, `partition`, `offset`, UTF-8 text. Source: KIP-1034; Apache Kafka, `ExceptionHandlerUtils`.
/// - `connect`: `__connect.errors.` with `topic`, `partition`, `offset`, `connector.name`, `task.id`, `stage`,
///   `class.name`, `exception.class.name`, `exception.message`, `exception.stacktrace`, UTF-8 text. Source: KIP-298;
///   Apache Kafka, `DeadLetterQueueReporter`.
/// - `spring`: `kafka_dlt-` with `original-topic`, `original-partition` (4 bytes, big-endian), `original-offset` and
///   `original-timestamp` (8 bytes, big-endian), `original-consumer-group`, `exception-fqcn`, `exception-cause-fqcn`,
///   `exception-message`; retry topics write them also without `dlt-`. Source: Spring for Apache Kafka,
///   `DeadLetterPublishingRecoverer` and `KafkaHeaders`.
public enum LetterDialect: String, Sendable, Hashable, CaseIterable {
    /// The format is detected for each letter.
    case auto
    /// A consumer of Millrace. Its letters are retried through its retry topic.
    case millrace
    /// A share group.
    case kip1191
    /// A Kafka Streams application.
    case streams
    /// A Kafka Connect sink.
    case connect
    /// A listener of Spring for Apache Kafka.
    case spring
    /// None of these. Only the record itself is known.
    case unknown

    /// Prefixes of the headers that the dialect adds. They are not part of the failed record.
    var headerPrefixes: [String] {
        switch self {
        case .auto, .unknown: []
        case .millrace: LetterHeaderNames.prefixes
        case .kip1191: ["__dlq.errors."]
        case .streams: ["__streams.errors."]
        case .connect: ["__connect.errors."]
        case .spring: ["kafka_dlt-", "kafka_original-", "kafka_exception-"]
        }
    }

    /// The dialects of other programs with their own headers, the more specific ones first.
    static let foreign: [LetterDialect] = [.streams, .connect, .spring, .kip1191]

    /// Whether any dialect adds this header. A retried record contains none of them.
    static func isAdded(_ name: String) -> Bool {
        addedPrefixes.contains { name.hasPrefix($0) }
    }

    private static let addedPrefixes = LetterDialect.allCases.flatMap(\.headerPrefixes)
}
