internal import Kafka
internal import StreamCore
internal import Traces
internal import Tracing

/// The consumer side of a run: executes commands, then polls and decodes. It does one round at a time.
struct Intake<P: Projection>: Sendable {
    let projection: P
    let consumer: Consumer
    let batches: Live<ProjectionRunnerConfiguration.Batches>
    /// Limits the records per second; nil for no limit.
    var pace: RecordPace?
    let settings: RunnerState.Settings
    /// The topics of dead letters; nil if failures stop their partitions.
    let route: DeadLetterRoute?
    let group: String
    /// Tracks whether `decode` of the projection is running.
    let decoding = HandlerPlace()
    /// Whether to look for the traces that records belong to.
    var isTraced = InstrumentationSystem.activeTracer != nil

    /// Maximum time to wait for a broker's answer about a partition, in milliseconds.
    private static var questionTimeoutMs: Int32 { 2_000 }

    /// The limits of the next batch.
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

    /// Executes the order's commands, then polls and decodes. The task should prefer the consumer's thread: nobody else
    /// polls meanwhile, and a record that arrives is decoded without a change of threads.
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
            // A partition that could not be started is not assigned. If it were in the list, the consumer would refuse
            // all.
            let held = Set(try await consumer.assignment)
            try await consumer.unassign(partitions.filter(held.contains))
        case .pause(let partitions): try await consumer.pause(partitions)
        case .resume(let partitions): try await consumer.resume(partitions)
        case .copyOffsets(let offsets): try consumer.commitLater(offsets)
        }
    }

    /// Starts to fetch partitions without asking a broker. So a partition without a leader, or without the offset, does
    /// not delay the others. The consumer reports it later.
    private func begin(_ start: StartCommand, _ report: inout IntakeReport) async throws(KafkaError) {
        do throws(KafkaError) {
            // The call is also made without partitions, because the group waits for it as the answer to the assignment.
            if !start.new.isEmpty || start.moved.isEmpty {
                try await consumer.assign(start.new.mapValues(StartOffset.offset))
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
            report.started += start.moved.keys
        } catch {
            report.notStarted += start.moved.keys
            throw error
        }
    }

    /// Asks the broker about a partition whose position is in doubt.
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

    /// The offsets of the oldest records of partitions, as far as Kafka answers.
    func logStarts(of partitions: [TopicPartition]) async -> [TopicPartition: Int64] {
        var starts: [TopicPartition: Int64] = [:]
        do throws(KafkaError) {
            for partition in partitions {
                starts[partition] =
                    try await consumer.queryWatermarks(partition, timeoutMs: Self.questionTimeoutMs).low
            }
        } catch {
            // The next call asks again. The code that reads the partition reports problems with the broker.
        }
        return starts
    }

    /// - Returns: nil if the broker does not know or does not permit the question.
    private func isCompacted(_ topic: String) async throws(KafkaError) -> Bool? {
        do throws(KafkaError) {
            return try await consumer.isCompacted(topic: topic, timeoutMs: Self.questionTimeoutMs)
        } catch {
            if error.kind == .transient && !error.isUnsupported { throw error }
            return nil
        }
    }

    /// Whether the error only says that the retry topic does not exist. It need not exist before the first retry. The
    /// consumer looks for it again by itself.
    func isAboutMissingRetries(_ error: KafkaError) -> Bool {
        guard let route, error.isUnknownTopic else { return false }
        // The client names the topic only in the message.
        return error.topicPartition?.topic == route.retryTopic || error.message.contains(route.retryTopic)
    }
}
