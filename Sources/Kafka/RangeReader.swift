public import StreamCore

/// Reads ranges of partitions to their ends, and never waits for a record that cannot come: the place of the last one
/// may be taken by a transaction's control record, so that a range ends where Kafka says that the partition does.
public struct RangeReader: Sendable {
    /// Why the ranges cannot be read.
    public enum Trouble: Error {
        /// Kafka has dropped records that were to be read.
        case gone(TopicPartition)
        /// Nothing came for so long.
        case silent(TopicPartition, milliseconds: Int)
    }

    private let configuration: KafkaClientConfiguration
    /// How long nothing may come, in milliseconds.
    private let silenceTimeoutMs: Int

    /// - Parameter silenceTimeoutMs: how long nothing may come, in milliseconds.
    public init(_ configuration: KafkaClientConfiguration, silenceTimeoutMs: Int) {
        var configuration = configuration
        configuration.properties["isolation.level"] = "read_committed"
        self.configuration = configuration
        self.silenceTimeoutMs = silenceTimeoutMs
    }

    /// Hands out each record of the ranges, a partition's in their order.
    ///
    /// - Parameter afterBatch: called when a batch of records was handed out; nothing more is read until it returns.
    /// - Throws: ``Trouble``, `KafkaError`, what `body` and `afterBatch` throw.
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
