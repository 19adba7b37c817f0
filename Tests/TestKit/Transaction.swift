internal import Blocking
internal import CRDKafka
internal import Foundation
public import Kafka

/// A transaction of a Kafka producer, which Millrace itself does not have. The mock cluster accepts transactions, but
/// it delivers the records of aborted ones and stores no markers.
public struct Transaction: Sendable {
    public enum End: Sendable {
        case commit, abort
    }

    public struct Failed: Error, CustomStringConvertible {
        public let description: String
    }

    private let servers: String
    private let topic: String
    private let partition: Int32

    public init(_ kafka: KafkaClientConfiguration, topic: String, partition: Int32 = 0) {
        servers = kafka.bootstrapServers
        self.topic = topic
        self.partition = partition
    }

    /// Produces the records in one transaction.
    public func run(_ records: [(key: [UInt8], value: [UInt8])], _ end: End) async throws {
        try await held(records, end) {}
    }

    /// Produces the records in one transaction, which stays open until `body` returns.
    public func held(
        _ records: [(key: [UInt8], value: [UInt8])], _ end: End, _ body: () async throws -> Void
    ) async throws {
        let producer = try await Self.onThread { [servers] in try TransactionalProducer(servers) }
        let (topic, partition) = (topic, partition)
        try await Self.onThread { try producer.begin(records, topic, partition) }
        do {
            try await body()
        } catch {
            try await Self.onThread { try producer.finish(.abort) }
            throw error
        }
        try await Self.onThread { try producer.finish(end) }
    }

    /// Runs a call on its own thread, because librdkafka's transaction calls block.
    private static func onThread<Value: Sendable>(_ call: @escaping @Sendable () throws -> Value) async throws -> Value
    {
        try await onOwnThread("transaction") { Result { try call() } }.get()
    }
}

// SAFETY: librdkafka's client is thread-safe. It is destroyed once, in `deinit`.
@safe
private final class TransactionalProducer: @unchecked Sendable {
    private let client: OpaquePointer

    init(_ servers: String) throws {
        // SAFETY: `rd_kafka_new` takes ownership of the configuration. Until then only this function uses it, and frees
        // it once.
        let configuration = unsafe rd_kafka_conf_new()
        var reason = [CChar](repeating: 0, count: 512)
        let properties = ["bootstrap.servers": servers, "transactional.id": UUID().uuidString]
        for (name, value) in properties {
            guard unsafe rd_kafka_conf_set(configuration, name, value, &reason, reason.count) == RD_KAFKA_CONF_OK
            else {
                unsafe rd_kafka_conf_destroy(configuration)
                throw Transaction.Failed(description: name)
            }
        }
        guard let client = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, configuration, &reason, reason.count) else {
            unsafe rd_kafka_conf_destroy(configuration)
            throw Transaction.Failed(description: "the producer does not start")
        }
        unsafe self.client = client
        unsafe try Self.check(rd_kafka_init_transactions(client, 60_000))
    }

    deinit { unsafe rd_kafka_destroy(client) }

    func begin(_ records: [(key: [UInt8], value: [UInt8])], _ topic: String, _ partition: Int32) throws {
        unsafe try Self.check(rd_kafka_begin_transaction(client))
        guard let handle = unsafe rd_kafka_topic_new(client, topic, nil) else {
            throw Transaction.Failed(description: topic)
        }
        defer { unsafe rd_kafka_topic_destroy(handle) }
        for (key, value) in records {
            var value = value
            let sent = unsafe rd_kafka_produce(
                handle, partition, RD_KAFKA_MSG_F_COPY, &value, value.count, key, key.count, nil)
            if sent != 0 { throw Transaction.Failed(description: "a record was not taken") }
        }
        guard unsafe rd_kafka_flush(client, 60_000) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw Transaction.Failed(description: "the records were not sent")
        }
    }

    func finish(_ end: Transaction.End) throws {
        switch end {
        case .commit: unsafe try Self.check(rd_kafka_commit_transaction(client, 60_000))
        case .abort: unsafe try Self.check(rd_kafka_abort_transaction(client, 60_000))
        }
    }

    private static func check(_ error: OpaquePointer?) throws {
        guard let error = unsafe error else { return }
        defer { unsafe rd_kafka_error_destroy(error) }
        throw unsafe Transaction.Failed(description: String(cString: rd_kafka_error_string(error)))
    }
}
