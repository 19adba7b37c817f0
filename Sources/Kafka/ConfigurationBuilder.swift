internal import CRDKafka

/// Owns an `rd_kafka_conf_t` until a client takes it.
@safe
struct ConfigurationBuilder: ~Copyable {
    // SAFETY: ours from `rd_kafka_conf_new` on, freed once: by `deinit`, or by the client that `take` hands it to.
    private let conf: OpaquePointer

    init() {
        unsafe conf = rd_kafka_conf_new()
    }

    deinit {
        unsafe rd_kafka_conf_destroy(conf)
    }

    /// Sets one property.
    ///
    /// - Returns: librdkafka's error message; nil if it accepted the property.
    func set(_ property: String, to value: String) -> KafkaConfigurationProblem? {
        var reason = [CChar](repeating: 0, count: 512)
        // SAFETY: librdkafka copies both strings and writes at most `reason.count` bytes, zero-terminated.
        let result = unsafe rd_kafka_conf_set(conf, property, value, &reason, reason.count)
        if result == RD_KAFKA_CONF_OK { return nil }
        if result == RD_KAFKA_CONF_UNKNOWN {
            return KafkaConfigurationProblem(property: property, message: "librdkafka has no such property")
        }
        return KafkaConfigurationProblem(property: property, message: String(zeroTerminated: reason))
    }

    /// Selects the events of the client's queues and the target of its log.
    ///
    /// - Parameter log: must live longer than the client.
    func prepare(events: Int32, log: LogSink) {
        // SAFETY: the pointer is only read while the client exists, and the client's owner holds `log` until after
        // `rd_kafka_destroy`; librdkafka passes zero-terminated strings that live during the call.
        unsafe rd_kafka_conf_set_opaque(conf, Unmanaged.passUnretained(log).toOpaque())
        unsafe rd_kafka_conf_set_events(conf, events)
        unsafe rd_kafka_conf_set_log_cb(conf) { client, level, facility, text in
            guard let client = unsafe client, let opaque = unsafe rd_kafka_opaque(client),
                let facility = unsafe facility, let text = unsafe text
            else { return }
            let sink = unsafe Unmanaged<LogSink>.fromOpaque(opaque).takeUnretainedValue()
            unsafe sink.write(level: level, facility: String(cString: facility), message: String(cString: text))
        }
    }

    /// Creates a client, which then owns the configuration.
    ///
    /// - Throws: librdkafka's error for the properties as a whole.
    consuming func makeClient(_ type: rd_kafka_type_t) throws(KafkaError) -> OpaquePointer {
        var reason = [CChar](repeating: 0, count: 512)
        // SAFETY: `rd_kafka_new` takes the configuration only on success; then our `deinit` must not run.
        if let client = unsafe rd_kafka_new(type, conf, &reason, reason.count) {
            discard self
            return unsafe client
        }
        let response = rd_kafka_last_error()
        _ = consume self
        throw KafkaError(response, message: String(zeroTerminated: reason))
    }
}

extension String {
    /// The text that C wrote into the buffer.
    init(zeroTerminated buffer: [CChar]) {
        self.init(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
