internal import CRDKafka

extension ClientHandle {
    /// A topic's setting on the broker: its own or the default.
    ///
    /// - Returns: nil if the broker has no such setting.
    func topicSetting(_ name: String, of topic: String, timeoutMs: Int32) throws(KafkaError) -> String? {
        try checkController(timeoutMs: timeoutMs)
        let queue = ClientQueue(newFor: self)
        guard let options = unsafe rd_kafka_AdminOptions_new(pointer, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS),
            // SAFETY: ours to free, as the options and the event are; librdkafka copies both for the request. Results
            // and their strings live as long as the event and are copied.
            let resource = unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic)
        else { throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG) }
        defer {
            unsafe rd_kafka_AdminOptions_destroy(options)
            unsafe rd_kafka_ConfigResource_destroy(resource)
        }
        var reason = [CChar](repeating: 0, count: 512)
        unsafe rd_kafka_AdminOptions_set_request_timeout(options, timeoutMs, &reason, reason.count)
        var request: OpaquePointer? = unsafe resource
        unsafe rd_kafka_DescribeConfigs(pointer, &request, 1, options, queue.pointer)
        guard let event = unsafe queue.poll(timeoutMs: timeoutMs + 1_000) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT)
        }
        defer { unsafe rd_kafka_event_destroy(event) }
        try KafkaError.check(unsafe rd_kafka_event_error(event))
        var count = 0
        let results = unsafe rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &count)
        guard count == 1, let result = unsafe results?[0] else { return nil }
        try KafkaError.check(unsafe rd_kafka_ConfigResource_error(result))
        var settings = 0
        let entries = unsafe rd_kafka_ConfigResource_configs(result, &settings)
        for index in 0..<settings {
            guard let entry = unsafe entries?[index], let key = unsafe rd_kafka_ConfigEntry_name(entry),
                unsafe String(cString: key) == name
            else { continue }
            return unsafe rd_kafka_ConfigEntry_value(entry).map { unsafe String(cString: $0) }
        }
        return nil
    }
}
