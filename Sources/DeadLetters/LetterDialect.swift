internal import Letters

/// In whose form a dead letter says where it came from and why.
///
/// - `millrace`: `__dlq.errors.*` and `millrace.*`, UTF-8 text; docs/dead-letters.md.
/// - `kip1191`: `__dlq.errors.` with `topic`, `partition`, `offset`, `group`, `delivery.count`, `message`, UTF-8 text.
///   Source: KIP-1191; Apache Kafka, `ShareGroupDLQRecordHelper`.
/// - `streams`: `__streams.errors.` with `exception` (a `Throwable`'s text: class and message), `message`,
/// `stacktrace`,
///   `topic`, `partition`, `offset`, UTF-8 text. Source: KIP-1034; Apache Kafka, `ExceptionHandlerUtils`.
/// - `connect`: `__connect.errors.` with `topic`, `partition`, `offset`, `connector.name`, `task.id`, `stage`,
///   `class.name`, `exception.class.name`, `exception.message`, `exception.stacktrace`, UTF-8 text. Source: KIP-298;
///   Apache Kafka, `DeadLetterQueueReporter`.
/// - `spring`: `kafka_dlt-` with `original-topic`, `original-partition` (4 bytes, big-endian), `original-offset` and
///   `original-timestamp` (8 bytes, big-endian), `original-consumer-group`, `exception-fqcn`, `exception-cause-fqcn`,
///   `exception-message`; retry topics write them also without `dlt-`. Source: Spring for Apache Kafka,
///   `DeadLetterPublishingRecoverer` and `KafkaHeaders`.
public enum LetterDialect: String, Sendable, Hashable, CaseIterable {
    /// Whatever a letter's headers say.
    case auto
    /// A consumer of ours: its letters are retried through its retry topic.
    case millrace
    /// A share group.
    case kip1191
    /// A Kafka Streams application.
    case streams
    /// A Kafka Connect sink.
    case connect
    /// A listener of Spring for Apache Kafka.
    case spring
    /// None of these: all that is known is the record itself.
    case unknown

    /// The names of headers that the dialect adds begin with one of these. They are no part of the record that failed.
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

    /// Those of others that have headers of their own, the more particular before the more general.
    static let foreign: [LetterDialect] = [.streams, .connect, .spring, .kip1191]

    /// Whether a header is one that some dialect adds: a retried record carries none of them.
    static func isAdded(_ name: String) -> Bool {
        addedPrefixes.contains { name.hasPrefix($0) }
    }

    private static let addedPrefixes = LetterDialect.allCases.flatMap(\.headerPrefixes)
}
