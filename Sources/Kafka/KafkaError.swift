internal import CRDKafka
public import StreamCore

/// An error of librdkafka or a broker, as a value. It is read from C at the place of the call, so it can be stored and
/// passed to other threads.
public struct KafkaError: Error, Hashable, Sendable {
    /// librdkafka's `rd_kafka_resp_err_t`. A positive number is a broker's error code of the Kafka protocol; a number
    /// below −1 is an error of the client.
    public let code: Int32
    /// librdkafka's name of the code without its prefix: `MSG_SIZE_TOO_LARGE`, `_TIMED_OUT`.
    public let name: String
    /// The message for operators. It contains no data of a record.
    public let message: String
    /// Whether the client instance cannot be used any more. Only a new one can continue.
    public let isFatal: Bool
    /// The partition that the error concerns; nil if there is none.
    public let topicPartition: TopicPartition?

    /// The consequence of the error; see ``FailureKind``.
    public var kind: FailureKind { isFatal ? .everything : Self.kind(of: code) }

    /// Whether the same call may succeed later without a change.
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
    /// The producer's queue is full. This is back-pressure, not a failure: call ``Producer/waitForSpace()`` and try
    /// again.
    public var isQueueFull: Bool { code == RD_KAFKA_RESP_ERR__QUEUE_FULL.rawValue }

    /// The broker does not have the consumer's offset, because it was deleted or does not exist yet; ``topicPartition``
    /// names the partition. Nothing is skipped: the partition waits until it is assigned again with another offset.
    public var isOffsetOutOfRange: Bool {
        code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET.rawValue || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE.rawValue
    }

    /// The broker does not support this kind of request.
    public var isUnsupported: Bool {
        code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE.rawValue
            || code == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION.rawValue
    }

    /// A record or its batch is larger than the topic allows.
    public var isTooLarge: Bool {
        code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE.rawValue
            || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE.rawValue
    }

    /// The topic does not exist, or does not exist yet.
    public var isUnknownTopic: Bool {
        code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC.rawValue || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION.rawValue
            || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART.rawValue
    }

    /// No answer came within the timeout.
    public var isTimeout: Bool {
        code == RD_KAFKA_RESP_ERR__TIMED_OUT.rawValue || code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT.rawValue
            || code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT.rawValue
    }

    /// The client was closed before or during the call.
    public var isClosed: Bool { code == RD_KAFKA_RESP_ERR__DESTROY.rawValue }

    /// The client reports a record as delivered, but no broker returned its offset.
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
    /// A restart replaces a client that cannot be used any more.
    public var remedy: Remedy { kind == .everything && !isFatal ? .changeSetup : .startAgain }
}
