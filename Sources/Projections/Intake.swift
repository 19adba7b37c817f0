internal import Kafka
internal import StreamCore

/// The consumer's side of a run: carries out commands, then polls and decodes. One round at a time.
struct Intake<P: Projection>: Sendable {
    let projection: P
    let consumer: Consumer
    let batches: Live<ProjectionRunnerConfiguration.Batches>
    /// Limits the records a second; nil for no limit.
    var pace: RecordPace?
    let settings: RunnerState.Settings
    /// Where failures are parked; nil where they stop their partitions.
    let route: DeadLetterRoute?
    let group: String

    /// Milliseconds to wait for a broker's answer about a partition.
    private static var questionTimeoutMs: Int32 { 2_000 }

    /// Those of the next batch.
    var limits: BatchLimits {
        let batches = batches.now
        return BatchLimits(
            maxRecords: min(batches.maxRecords, pace?.batchLimit ?? .max), maxBytes: batches.maxBytes, maxWaitMs: 100,
            lingerMs: Int32(clamping: batches.lingerMs))
    }

    struct Round: Sendable {
        var report: IntakeReport
        var batch: PreparedBatch<P.Event>?
    }

    /// Carries out the order's commands, then polls. Decoding happens here, on no thread of a client.
    @concurrent
    func run(_ order: IntakeOrder) async -> Round {
        var round = Round(report: IntakeReport(batch: order.batch))
        for command in order.commands {
            do throws(KafkaError) {
                try await carryOut(command, &round.report)
            } catch {
                round.report.failure = error
            }
        }
        guard order.polls else { return round }
        do throws(KafkaError) {
            try await poll(order, &round)
        } catch {
            round.report.failure = error
        }
        return round
    }

    private func carryOut(_ command: ConsumerCommand, _ report: inout IntakeReport) async throws(KafkaError) {
        switch command {
        case .start(let start): try await begin(start, &report)
        case .giveUp(let partitions):
            // One whose start failed is not with the consumer, and would make it refuse them all.
            let held = Set(try await consumer.assignment)
            try await consumer.unassign(partitions.filter(held.contains))
        case .pause(let partitions): try await consumer.pause(partitions)
        case .resume(let partitions): try await consumer.resume(partitions)
        case .copyOffsets(let offsets): try consumer.commitLater(offsets)
        }
    }

    /// Starts fetching, without a question to any broker: a partition that has no leader at the moment, or does not
    /// have the offset, is heard of later, and holds up no other.
    private func begin(_ start: StartCommand, _ report: inout IntakeReport) async throws(KafkaError) {
        do throws(KafkaError) {
            // With nothing in it too: it is the answer that the group waits for.
            if !start.new.isEmpty || start.moved.isEmpty {
                try await consumer.assign(start.new.mapValues(StartOffset.offset))
                // What was paused before it was given up may be so still.
                if !start.new.isEmpty { try await consumer.resume(Array(start.new.keys)) }
            }
            report.started += start.new.keys
        } catch {
            report.notStarted += start.new.keys
            report.notStarted += start.moved.keys
            throw error
        }
        if start.moved.isEmpty { return }
        do throws(KafkaError) {
            try await consumer.seek(start.moved.mapValues(StartOffset.offset))
            try await consumer.resume(Array(start.moved.keys))
            report.started += start.moved.keys
        } catch {
            report.notStarted += start.moved.keys
            throw error
        }
    }

    /// Asks the broker about a partition that is in doubt.
    func examine(_ partition: TopicPartition, _ doubt: PartitionDoubt) async -> Result<PartitionFindings, KafkaError> {
        do throws(KafkaError) {
            let watermarks = try await consumer.queryWatermarks(partition, timeoutMs: Self.questionTimeoutMs)
            var findings = PartitionFindings(low: watermarks.low, high: watermarks.high)
            if case .noRecord = doubt { findings.isCompacted = try await isCompacted(partition.topic) }
            return .success(findings)
        } catch {
            return .failure(error)
        }
    }

    /// The offsets of the oldest records that Kafka has of partitions, as far as it answers.
    func logStarts(of partitions: [TopicPartition]) async -> [TopicPartition: Int64] {
        var starts: [TopicPartition: Int64] = [:]
        do throws(KafkaError) {
            for partition in partitions {
                starts[partition] =
                    try await consumer.queryWatermarks(partition, timeoutMs: Self.questionTimeoutMs).low
            }
        } catch {
            // The next question is soon enough, and whoever reads the partition says what is wrong with the broker.
        }
        return starts
    }

    /// - Returns: nil when the broker cannot say, or may not.
    private func isCompacted(_ topic: String) async throws(KafkaError) -> Bool? {
        do throws(KafkaError) {
            return try await consumer.isCompacted(topic: topic, timeoutMs: Self.questionTimeoutMs)
        } catch {
            if error.kind == .transient && !error.isUnsupported { throw error }
            return nil
        }
    }

    /// The retry topic need not exist before the first retry. The consumer looks for it again automatically.
    func isAboutMissingRetries(_ error: KafkaError) -> Bool {
        guard let route, error.isUnknownTopic else { return false }
        // The client names the topic in the text alone.
        return error.topicPartition?.topic == route.retryTopic || error.message.contains(route.retryTopic)
    }

    /// When its queue was full, librdkafka 2.0 looks only once a second whether there is room again: it then fetches no
    /// more than the queue's size a second. Any request to a partition's leader makes it look at once; the answer does
    /// not matter. Measured with 8 MiB and records of 700 B: 18,000 records/s without this, 48,000 with it, which is
    /// what the database takes.
    func keepFetching(_ partition: TopicPartition) {
        consumer.fetchSoon(partition)
    }
}
