internal import Kafka
internal import StreamCore

/// The first record at or after an offset.
enum FirstRecord {
    /// In milliseconds since 1970; nil if the record has no timestamp.
    case timestamp(Int64?)
    /// No record follows.
    case absent
}

/// Reads the timestamps of single records.
struct RecordTimes {
    private let kafka: KafkaClientConfiguration

    /// The time after which partitions without an answer are left out.
    private let timeout: Duration

    init(_ kafka: KafkaClientConfiguration, timeout: Duration) {
        self.timeout = timeout
        var small = kafka
        // Only one record of each partition is needed, so little is fetched.
        small.properties["fetch.message.max.bytes"] = "65536"
        small.properties["queued.min.messages"] = "1"
        self.kafka = small
    }

    /// The first records at or after the given offsets. Partitions that did not answer in time are left out.
    func read(_ offsets: [TopicPartition: Int64]) async throws(KafkaError) -> [TopicPartition: FirstRecord] {
        let consumer = try Consumer(kafka, group: "millrace-inspect-\(UInt32.random(in: 0 ... .max))", tellsEnds: true)
        let result: Result<[TopicPartition: FirstRecord], KafkaError>
        do throws(KafkaError) {
            try await consumer.assign(offsets.mapValues { .offset($0) })
            result = .success(try await drain(consumer, Set(offsets.keys)))
        } catch {
            result = .failure(error)
        }
        _ = await consumer.close(timeoutMs: 2_000)
        return try result.get()
    }

    private func drain(
        _ consumer: Consumer, _ partitions: Set<TopicPartition>
    ) async throws(KafkaError) -> [TopicPartition: FirstRecord] {
        var open = partitions
        var times: [TopicPartition: FirstRecord] = [:]
        let deadline = ContinuousClock.now + timeout
        while !open.isEmpty, ContinuousClock.now < deadline {
            switch try await consumer.poll(BatchLimits(maxRecords: 500, maxWaitMs: 50)) {
            case .batch(let batch):
                for record in batch where open.remove(record.topicPartition) != nil {
                    times[record.topicPartition] = .timestamp(record.timestampMs)
                }
                for partition in batch.ends.keys where open.remove(partition) != nil { times[partition] = .absent }
                try await consumer.pause(Array(batch.nextOffsets.keys))
            case .ends(let ends):
                for partition in ends.keys where open.remove(partition) != nil { times[partition] = .absent }
            case .error(let error):
                // Retention has removed the record in the meantime. The next reading will show that.
                if let partition = error.topicPartition, error.isOffsetOutOfRange { open.remove(partition) }
                guard error.isRetriable || error.isOffsetOutOfRange else { throw error }
            case .idle, .assigned, .revoked, .lost: break
            }
        }
        return times
    }
}
