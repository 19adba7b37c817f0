import EmbeddedKafka
import Kafka
import StreamCore
import Synchronization
import TestKit
import Testing

@Suite struct ConsumerTests {
    /// Writes the values "0", "1" and so on into partition 0 of a topic.
    private func fill(_ topic: String, count: Int, bytes: Int = 1) async throws {
        let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
        for number in 0..<count {
            let text = Array("\(number)".utf8)
            let value = text + [UInt8](repeating: 0x20, count: max(0, bytes - text.count))
            try producer.produce(
                topic: topic, key: nil, value: value.span, headers: nil, tag: UInt64(number))
        }
        try await producer.flush(timeoutMs: 60_000)
        await producer.close(timeoutMs: 5_000)
    }

    private func makeConsumer(
        _ properties: [String: String] = [:], group: String = TestKafka.uniqueName("group")
    ) throws -> Consumer {
        try Consumer(try TestKafka.clientConfiguration(properties: properties), group: group)
    }

    private func nextBatch(_ consumer: Consumer, _ limits: BatchLimits = BatchLimits()) async throws -> RecordBatch {
        var found: RecordBatch?
        try await eventually {
            switch try await consumer.poll(limits) {
            case .batch(let batch): found = batch
            case .error(let error) where error.kind == .transient: break
            case .idle: break
            case let other: Issue.record("unexpected: \(other)")
            }
            return found != nil
        }
        return try #require(found)
    }

    @Test func batchesEndAtTheirLimits() async throws {
        try await TestKafka.withTopics { topics in
            try await fill(topics[0], count: 100, bytes: 1_000)
            let partition = TopicPartition(topic: topics[0], partition: 0)
            let consumer = try makeConsumer()
            try await consumer.assign([partition: .offset(10)])
            let byCount = try await nextBatch(
                consumer, BatchLimits(maxRecords: 7, maxBytes: 1 << 20, maxWaitMs: 1_000, lingerMs: 1_000))
            #expect(byCount.count == 7)
            #expect(byCount.map(\.offset) == Array(10..<17))
            #expect(byCount.nextOffsets == [partition: 17])
            let byBytes = try await nextBatch(
                consumer, BatchLimits(maxRecords: 100, maxBytes: 2_500, maxWaitMs: 1_000, lingerMs: 1_000))
            #expect(byBytes.count == 3)
            #expect(byBytes.byteCount == 3_000)
            #expect(byBytes.first?.offset == 17)
            let started = ContinuousClock.now
            let byTime = try await nextBatch(
                consumer, BatchLimits(maxRecords: 1_000, maxBytes: 1 << 20, maxWaitMs: 60_000, lingerMs: 50))
            #expect(byTime.count == 80)
            // The linger time ended the poll, not the maximum wait. The limit is loose, because the machine may be
            // busy.
            #expect(ContinuousClock.now - started < .seconds(30))
            #expect(byTime[0].timestampMs != nil)
            await consumer.close(timeoutMs: 5_000)
        }
    }

    @Test func anEmptyPollEndsInTimeOrWhenWoken() async throws {
        let consumer = try makeConsumer()
        let started = ContinuousClock.now
        guard case .idle = try await consumer.poll(BatchLimits(maxWaitMs: 30)) else {
            Issue.record("expected an idle poll")
            return
        }
        #expect(ContinuousClock.now - started >= .milliseconds(29))
        // Wakes the poll once before it waits and once while it waits. Neither call is lost.
        consumer.wake()
        for _ in 0..<2 {
            async let event = consumer.poll(BatchLimits(maxWaitMs: 60_000))
            consumer.wake()
            guard case .idle = try await event else {
                Issue.record("expected an idle poll")
                return
            }
        }
        #expect(ContinuousClock.now - started < .seconds(60), "no poll waited for its whole time")
        await consumer.close(timeoutMs: 5_000)
        await #expect(throws: KafkaError.self) { try await consumer.poll(BatchLimits()) }
    }

    @Test func anOffsetThatIsNotThereIsAnErrorAndNothingIsSkipped() async throws {
        try await TestKafka.withTopics(partitions: 2) { topics in
            try await fill(topics[0], count: 40)
            let admin = try KafkaAdmin(try TestKafka.clientConfiguration())
            let partitions = (0..<2).map { TopicPartition(topic: topics[0], partition: Int32($0)) }
            let watermarks = try await admin.watermarks(of: partitions)
            let filled = try #require(partitions.first { watermarks[$0]?.high ?? 0 > 0 })
            let consumer = try makeConsumer()
            try await consumer.assign([filled: .offset(10_000)])
            var found: KafkaError?
            try await eventually {
                switch try await consumer.poll(BatchLimits()) {
                case .error(let error): found = error
                case .batch(let batch): Issue.record("read \(batch.count) records from nowhere")
                default: break
                }
                return found != nil
            }
            let error = try #require(found)
            #expect(error.isOffsetOutOfRange)
            #expect(error.topicPartition == filled)
            // The caller decides where to continue.
            try await consumer.seek([filled: .beginning])
            let batch = try await nextBatch(consumer)
            #expect(batch.first?.offset == 0)
            await consumer.close(timeoutMs: 5_000)
        }
    }

    @Test func aGroupWithoutACommitIsAnErrorToo() async throws {
        try await TestKafka.withTopics { topics in
            try await fill(topics[0], count: 3)
            let partition = TopicPartition(topic: topics[0], partition: 0)
            let consumer = try makeConsumer()
            try await consumer.assign([partition: .committed])
            try await eventually {
                if case .error(let error) = try await consumer.poll(BatchLimits()) {
                    return error.isOffsetOutOfRange && error.topicPartition == partition
                }
                return false
            }
            await consumer.close(timeoutMs: 5_000)
        }
    }

    @Test func commitsWhatItIsToldAndNothingElse() async throws {
        try await TestKafka.withTopics(partitions: 2) { topics in
            let group = TestKafka.uniqueName("group")
            let partitions = (0..<2).map { TopicPartition(topic: topics[0], partition: Int32($0)) }
            let consumer = try makeConsumer(group: group)
            try await fill(topics[0], count: 20)
            try await consumer.assign([partitions[0]: .beginning, partitions[1]: .beginning])
            _ = try await nextBatch(consumer)
            #expect(try await consumer.committed(partitions, timeoutMs: 60_000) == [:])
            try await consumer.commit([partitions[0]: 1])
            #expect(try await consumer.committed(partitions, timeoutMs: 60_000) == [partitions[0]: 1])
            try consumer.commitLater([partitions[0]: 2, partitions[1]: 1])
            try await eventually {
                try await consumer.committed(partitions, timeoutMs: 60_000) == [partitions[0]: 2, partitions[1]: 1]
            }
            await consumer.close(timeoutMs: 5_000)
            let admin = try KafkaAdmin(try TestKafka.clientConfiguration())
            let committed = try await admin.committed(group: group, partitions)
            #expect(committed == [partitions[0]: 2, partitions[1]: 1])
        }
    }

    @Test func aFailedCommitIsToldLater() async throws {
        try await TestKafka.withPrivateCluster { cluster, configuration in
            try cluster.createTopic("t", partitions: 1)
            let consumer = try Consumer(configuration, group: "g")
            let partition = TopicPartition(topic: "t", partition: 0)
            // GROUP_AUTHORIZATION_FAILED: a commit that waits throws the error. A commit that does not wait reports it
            // as an event.
            cluster.pushRequestErrors(.offsetCommit, [30, 30])
            let error = try await #require(throws: KafkaError.self) { try await consumer.commit([partition: 1]) }
            #expect(error.kind == .everything)
            try consumer.commitLater([partition: 1])
            try await eventually {
                if case .error(let later) = try await consumer.poll(BatchLimits()) { return later.code == error.code }
                return false
            }
            await consumer.close(timeoutMs: 5_000)
        }
    }

    @Test func pausesAndGoesOnWithoutAGap() async throws {
        try await TestKafka.withTopics { topics in
            try await fill(topics[0], count: 50)
            let partition = TopicPartition(topic: topics[0], partition: 0)
            let consumer = try makeConsumer()
            try await consumer.assign([partition: .beginning])
            let first = try await nextBatch(consumer, BatchLimits(maxRecords: 5))
            #expect(first.map(\.offset) == Array(0..<5))
            try await consumer.pause([partition])
            for _ in 0..<3 {
                if case .batch(let batch) = try await consumer.poll(BatchLimits(maxWaitMs: 100)) {
                    Issue.record("\(batch.count) records of a paused partition")
                }
            }
            try await consumer.resume([partition])
            var offsets: [Int64] = []
            while offsets.count < 45 { offsets += try await nextBatch(consumer).map(\.offset) }
            #expect(offsets == Array(5..<50))
            await consumer.close(timeoutMs: 5_000)
        }
    }

    @Test func knowsTheWatermarks() async throws {
        try await TestKafka.withTopics { topics in
            try await fill(topics[0], count: 12)
            let partition = TopicPartition(topic: topics[0], partition: 0)
            let consumer = try makeConsumer()
            #expect(consumer.watermarks(partition) == nil)
            let asked = try await consumer.queryWatermarks(partition, timeoutMs: 60_000)
            #expect((asked.low, asked.high) == (0, 12))
            try await consumer.assign([partition: .beginning])
            _ = try await nextBatch(consumer)
            try await eventually {
                _ = try await consumer.poll(BatchLimits())
                return consumer.watermarks(partition) == asked
            }
            #expect(try await consumer.partitions(of: topics, timeoutMs: 60_000) == [topics[0]: [partition]])
            await consumer.close(timeoutMs: 5_000)
        }
    }

    @Test func aBatchOutlivesItsConsumerAndFreesItsMemory() async throws {
        try await TestKafka.withTopics { topics in
            try await fill(topics[0], count: 20)
            var consumer: Consumer? = try makeConsumer()
            try await consumer?.assign([TopicPartition(topic: topics[0], partition: 0): .beginning])
            var batch: RecordBatch? = try await nextBatch(try #require(consumer), BatchLimits(lingerMs: 200))
            weak let left = batch
            await consumer?.close(timeoutMs: 5_000)
            consumer = nil
            // Reads and releases the batch on another thread.
            let text = await Task.detached { [batch] in
                batch.map { String(decoding: bytes($0[19].value) ?? [], as: UTF8.self) }
            }.value
            #expect(text == "19")
            batch = nil
            #expect(left == nil)
        }
    }

    /// Runs in a separate process, because other tests would add their memory to the measurement.
    @Test func readingForLongKeepsNoMemory() async {
        await #expect(processExitsWith: .success) { try await ConsumerTests().readForLong() }
    }

    private func readForLong() async throws {
        try await TestKafka.withTopics { topics in
            let partition = TopicPartition(topic: topics[0], partition: 0)
            try await fill(topics[0], count: 300, bytes: 10_000)
            let consumer = try makeConsumer()
            try await consumer.assign([partition: .beginning])
            // Each round reads 3 MB, so a leak of the records would add up to 165 MB.
            var before = 0
            for round in 0..<60 {
                var read = 0
                while read < 300 { read += try await nextBatch(consumer).count }
                if round == 5 { before = try residentBytes() }
                try await consumer.seek([partition: .beginning])
            }
            #expect(try residentBytes() - before < 60 << 20)
            await consumer.close(timeoutMs: 5_000)
        }
    }
}
