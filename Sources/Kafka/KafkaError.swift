internal import CRDKafka
public import StreamCore

/// What librdkafka or a broker refused, as a value: read from C at the place of the call, so it may be kept and passed
/// to other threads.
public struct KafkaError: Error, Hashable, Sendable {
    /// librdkafka's `rd_kafka_resp_err_t`: a broker's error code of the Kafka protocol when positive, the client's own
    /// when below −1.
    public let code: Int32
    /// The code's name as librdkafka spells it, without its prefix: `MSG_SIZE_TOO_LARGE`, `_TIMED_OUT`.
    public let name: String
    /// What happened, for people. Holds no record's data.
    public let message: String
    /// The client instance is of no more use: only a new one can go on.
    public let isFatal: Bool
    /// The partition that the error is about, where there is one.
    public let topicPartition: TopicPartition?

    /// What it means for the work that met it; see ``FailureKind``.
    public var kind: FailureKind { isFatal ? .everything : Self.kind(of: code) }

    /// The same call may succeed later without a change by anybody.
    public var isRetriable: Bool { kind == .transient }

    init(code: Int32, message: String? = nil, isFatal: Bool = false, topicPartition: TopicPartition? = nil) {
        let response = rd_kafka_resp_err_t(code)
        // SAFETY: both functions return static strings, for unknown codes too.
        self.code = code
        self.name = unsafe String(cString: rd_kafka_err2name(response))
        self.message = unsafe message ?? String(cString: rd_kafka_err2str(response))
        self.isFatal = isFatal
        self.topicPartition = topicPartition
    }

    init(_ response: rd_kafka_resp_err_t, message: String? = nil, topicPartition: TopicPartition? = nil) {
        self.init(code: response.rawValue, message: message, topicPartition: topicPartition)
    }

    /// Takes over an `rd_kafka_error_t` and frees it.
    ///
    /// - Parameter error: owned by the caller until now; nil means success.
    static func check(_ error: OpaquePointer?) throws(KafkaError) {
        // SAFETY: librdkafka hands the error to the caller, who frees it once, after its last read.
        guard let error = unsafe error else { return }
        defer { unsafe rd_kafka_error_destroy(error) }
        throw unsafe KafkaError(
            code: rd_kafka_error_code(error).rawValue, message: String(cString: rd_kafka_error_string(error)),
            isFatal: rd_kafka_error_is_fatal(error) != 0)
    }

    static func check(_ response: rd_kafka_resp_err_t) throws(KafkaError) {
        if response != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaError(response) }
    }
}

// MARK: - Errors that callers tell apart

extension KafkaError {
    /// The producer's queue is full: back-pressure, not a failure. Wait for ``Producer/waitForSpace()`` and try again.
    public var isQueueFull: Bool { code == RD_KAFKA_RESP_ERR__QUEUE_FULL.rawValue }

    /// The broker no longer (or not yet) has the offset that the consumer stands at; ``topicPartition`` names the
    /// partition. Nothing is skipped: the partition stays where it is until it is assigned again with another offset.
    public var isOffsetOutOfRange: Bool {
        code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET.rawValue || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE.rawValue
    }

    /// The broker does not know this kind of request.
    public var isUnsupported: Bool {
        code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE.rawValue
            || code == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION.rawValue
    }

    /// A record, or the batch that it was sent in, is larger than the topic takes.
    public var isTooLarge: Bool {
        code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE.rawValue
            || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE.rawValue
    }

    /// The topic is not there, or not there yet.
    public var isUnknownTopic: Bool {
        code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC.rawValue || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION.rawValue
            || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART.rawValue
    }

    /// Nothing came back within the time given.
    public var isTimeout: Bool {
        code == RD_KAFKA_RESP_ERR__TIMED_OUT.rawValue || code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT.rawValue
            || code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT.rawValue
    }

    /// The client was closed before or during the call.
    public var isClosed: Bool { code == RD_KAFKA_RESP_ERR__DESTROY.rawValue }

    /// The client holds a record for delivered though no broker told where it is.
    static var impliedDelivery: KafkaError {
        KafkaError(
            RD_KAFKA_RESP_ERR__NO_OFFSET,
            message: "the success of a later batch implies the record's delivery, but no broker confirmed it")
    }

    static func closed(_ what: String) -> KafkaError {
        KafkaError(RD_KAFKA_RESP_ERR__DESTROY, message: "\(what) is closed")
    }
}

extension KafkaError: CustomStringConvertible {
    public var description: String {
        let place = topicPartition.map { " (\($0))" } ?? ""
        return "Kafka: \(message) [\(name)]\(isFatal ? ", fatal" : "")\(place)"
    }
}

extension KafkaError: RemediableError {
    /// A client that is of no more use is replaced by a start.
    public var remedy: Remedy { kind == .everything && !isFatal ? .changeSetup : .startAgain }
}
