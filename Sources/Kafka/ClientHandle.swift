internal import Blocking
internal import CRDKafka
internal import Synchronization

/// Owns one librdkafka client. Every object that holds memory of the client (batches, topics, queues) also holds this
/// handle, so the client is destroyed last.
// SAFETY: librdkafka's client is thread-safe; destroyed once, in `deinit`, when nobody can use it any more.
@safe
final class ClientHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    private let log: LogSink
    /// Objects that callbacks use until the client is destroyed.
    private let kept = Mutex<[any AnyObject & Sendable]>([])

    /// Starts a librdkafka client. Its threads then run and connect.
    ///
    /// - Parameters:
    ///   - defaults: properties that the configuration may override.
    ///   - owned: properties that it may not override.
    ///   - events: `RD_KAFKA_EVENT_…` bits that the client's queues hand out.
    init(
        _ type: rd_kafka_type_t, _ configuration: KafkaClientConfiguration, defaults: [String: String],
        owned: [String: String], events: Int32
    ) throws(KafkaError) {
        let problems = configuration.validate()
        guard problems.isEmpty else { throw Self.invalid(problems) }
        var properties = defaults.merging(configuration.properties) { _, given in given }
        properties.merge(owned) { _, ours in ours }
        properties["bootstrap.servers"] = configuration.bootstrapServers
        properties["client.id"] = configuration.clientID
        let builder = ConfigurationBuilder()
        let refused = properties.compactMap { builder.set($0.key, to: $0.value) }
        guard refused.isEmpty else { throw Self.invalid(refused) }
        let log = LogSink(configuration.log)
        builder.prepare(events: events, log: log)
        self.log = log
        unsafe pointer = try builder.makeClient(type)
    }

    private static func invalid(_ problems: [KafkaConfigurationProblem]) -> KafkaError {
        let text = problems.map(\.description).joined(separator: "; ")
        return KafkaError(RD_KAFKA_RESP_ERR_INVALID_CONFIG, message: text)
    }

    deinit {
        // Destroying the client waits for its threads. The thread that releases the last reference may be one of
        // Swift's pool and must not be blocked. A consumer that was not closed does not leave its group; its session
        // times out.
        let last = unsafe LastReference(pointer: pointer, log: log, kept: kept.withLock { $0 })
        startThread("kafka-destroy") { last.destroy() }
    }

    /// Keeps an object that callbacks use until the client is destroyed.
    func keep(_ object: any AnyObject & Sendable) {
        kept.withLock { $0.append(object) }
    }

    /// The error after which this client cannot be used; nil if there was none.
    var fatalError: KafkaError? {
        var text = [CChar](repeating: 0, count: 512)
        // SAFETY: writes at most `text.count` bytes, zero-terminated.
        let response = unsafe rd_kafka_fatal_error(pointer, &text, text.count)
        if response == RD_KAFKA_RESP_ERR_NO_ERROR { return nil }
        return KafkaError(code: response.rawValue, message: String(zeroTerminated: text), isFatal: true)
    }

    /// Reads an event of type `RD_KAFKA_EVENT_ERROR`.
    func error(of event: OpaquePointer) -> KafkaError {
        // SAFETY: the caller owns the event; the strings live as long as it and are copied; the list is ours to free.
        if unsafe rd_kafka_event_error_is_fatal(event) != 0, let fatal = fatalError { return fatal }
        let response = unsafe rd_kafka_event_error(event)
        var place: PartitionPosition?
        if let partition = unsafe rd_kafka_event_topic_partition(event) {
            place = unsafe PartitionPosition(partition.pointee)
            unsafe rd_kafka_topic_partition_destroy(partition)
        }
        return unsafe KafkaError(
            response, message: String(cString: rd_kafka_event_error_string(event)), topicPartition: place?.partition)
    }
}

/// A client that is being destroyed, with the objects that its callbacks still use.
// SAFETY: the owner gave the client up; `destroy` is called once, by the one thread it was handed to.
@safe
private struct LastReference: @unchecked Sendable {
    let pointer: OpaquePointer
    let log: LogSink
    let kept: [any AnyObject & Sendable]

    func destroy() {
        unsafe rd_kafka_destroy_flags(pointer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        withExtendedLifetime((log, kept)) {}
    }
}
