public import StreamCore

/// Reads ranges of partitions to their ends. It never waits for a record that cannot come: the last offset of a range
/// may be a transaction's control record, so a range ends where Kafka reports the end of the partition.
public struct RangeReader: Sendable {
    /// The reason why the ranges cannot be read.
    public enum Trouble: Error {
        /// Kafka has deleted records of the range.
        case gone(TopicPartition)
        /// No record came within this time.
        case silent(TopicPartition, milliseconds: Int)
    }

    private let configuration: KafkaClientConfiguration
    /// Maximum time without a record, in milliseconds.
    private let silenceTimeoutMs: Int

    /// - Parameter silenceTimeoutMs: the maximum time without a record, in milliseconds.
    public init(_ configuration: KafkaClientConfiguration, silenceTimeoutMs: Int) {
        var configuration = configuration
        configuration.properties["isolation.level"] = "read_committed"
        self.configuration = configuration
        self.silenceTimeoutMs = silenceTimeoutMs
    }

    /// Passes each record of the ranges to `body`. The records of a partition keep their order.
    ///
    /// - Parameter afterBatch: called after the records of a batch. Nothing more is read until it returns.
    /// - Throws: ``Trouble``, `KafkaError`, or an error of `body` or `afterBatch`.
    public func read(
        _ ranges: [TopicPartition: Range<Int64>], afterBatch: () async throws -> Void = {},
        _ body: (RecordView) throws -> Void
    ) async throws {
        let wanted = ranges.filter { !$0.value.isEmpty }
        if wanted.isEmpty { return }
        let group = "millrace-range-\(UInt32.random(in: 0 ... .max))"
        let consumer = try Consumer(configuration, group: group, tellsEnds: true)
        let result: Result<Void, any Error>
        do {
            try await consumer.assign(wanted.mapValues { .offset($0.lowerBound) })
            result = .success(try await drain(consumer, wanted, body, afterBatch))
        } catch {
            result = .failure(error)
        }
        _ = await consumer.close(timeoutMs: 5_000)
        try result.get()
    }

    private func drain(
        _ consumer: Consumer, _ ranges: [TopicPartition: Range<Int64>], _ body: (RecordView) throws -> Void,
        _ afterBatch: () async throws -> Void
    ) async throws {
        var open = Set(ranges.keys)
        var lastProgress = ContinuousClock.now
        while let some = open.first {
            let event = try await consumer.poll(BatchLimits(maxWaitMs: 200))
            var finished: [TopicPartition] = []
            switch event {
            case .batch(let batch):
                for record in batch {
                    if let range = ranges[record.topicPartition], range.contains(record.offset) { try body(record) }
                }
                try await afterBatch()
                lastProgress = .now
                for (partition, next) in batch.nextOffsets where open.contains(partition) {
                    if let range = ranges[partition], next >= range.upperBound { finished.append(partition) }
                }
                finished += batch.ends.keys
            case .ends(let ends):
                lastProgress = .now
                finished += ends.keys
            case .error(let error):
                if error.isOffsetOutOfRange { throw Trouble.gone(error.topicPartition ?? some) }
                guard error.isRetriable else { throw error }
            case .assigned, .revoked, .lost, .idle:
                break
            }
            for partition in finished where open.remove(partition) != nil { try await consumer.pause([partition]) }
            if ContinuousClock.now - lastProgress > .milliseconds(silenceTimeoutMs) {
                throw Trouble.silent(some, milliseconds: silenceTimeoutMs)
            }
        }
    }
}
