import EmbeddedKafka
import Kafka
import StreamCore
import Synchronization
import TestKit
import Testing

/// Records the delivery reports of a producer.
final class Reports: Sendable {
    private let all = Mutex<[DeliveryReport]>([])

    func append(_ reports: [DeliveryReport]) { all.withLock { $0 += reports } }
    var received: [DeliveryReport] { all.withLock { $0 } }
    var count: Int { all.withLock { $0.count } }
}

@Suite struct ProducerTests {
    private let value = [UInt8](repeating: 7, count: 600)

    @Test func keepsTheOrderOfEachKeyAndReportsEachRecordOnce() async throws {
        try await TestKafka.withTopics(partitions: 3) { topics in
            let reports = Reports()
            let producer = try Producer(try TestKafka.clientConfiguration(), onDelivery: reports.append)
            for number in 0..<900 {
                try producer.produce(
                    topic: topics[0], key: Array("key-\(number % 7)".utf8).span, value: Array("\(number)".utf8).span,
                    headers: nil, tag: UInt64(number))
            }
            try await producer.flush(timeoutMs: 60_000)
            #expect(reports.received.map(\.tag).sorted() == (0..<900).map(UInt64.init))
            #expect(reports.received.allSatisfy { $0.error == nil && $0.offset >= 0 })
            #expect(producer.outstanding == 0)

            var numbers: [[UInt8]: [Int]] = [:]
            for partition in Int32(0)..<3 {
                let count = reports.received.count { $0.partition == partition }
                if count == 0 { continue }
                for record in try await readAll(topics[0], partition: partition, count: count) {
                    let number = Int(String(decoding: record.value ?? [], as: UTF8.self))
                    numbers[record.key ?? [], default: []].append(number ?? -1)
                }
            }
            #expect(numbers.count == 7)
            for (_, sequence) in numbers { #expect(sequence == sequence.sorted() && sequence.count > 100) }
            await producer.close(timeoutMs: 5_000)
        }
    }

    /// A record is sent at once although its linger time is very long.
    @Test func sendsWithoutLinger() async throws {
        try await TestKafka.withTopics(partitions: 1) { topics in
            let reports = Reports()
            var configuration = try TestKafka.clientConfiguration()
            configuration.properties["linger.ms"] = "900000"
            configuration.properties["message.timeout.ms"] = "0"
            let producer = try Producer(configuration, onDelivery: reports.append)
            for number in 0..<3 {
                try producer.produce(
                    topic: topics[0], key: nil, value: value.span, headers: nil, tag: UInt64(number))
            }
            #expect(reports.count == 0)
            try await eventually {
                producer.sendWithoutLinger(blockingMs: 100)
                return reports.count == 3
            }
            #expect(reports.received.allSatisfy { $0.error == nil && $0.offset >= 0 })
            // With nothing to send, the call does not wait.
            producer.sendWithoutLinger(blockingMs: .max)
            await producer.close(timeoutMs: 5_000)
        }
    }

    @Test func partitionsAreKnownWithTheFirstRecord() async throws {
        try await TestKafka.withTopics(partitions: 3) { topics in
            let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
            #expect(producer.partitions(of: topics[0]) == nil)
            try await producer.send(topic: topics[0], key: Array("a".utf8), value: value)
            #expect(producer.partitions(of: topics[0]) == 3)
            #expect(producer.partitions(of: "another") == nil)
            await producer.close(timeoutMs: 5_000)
        }
    }

    @Test func aFullQueueIsBackPressureAndLosesNothing() async throws {
        try await TestKafka.withTopics { topics in
            let reports = Reports()
            let producer = try Producer(
                try TestKafka.clientConfiguration(properties: ["queue.buffering.max.messages": "10"]),
                onDelivery: reports.append)
            var timesFull = 0
            for number in 0..<500 {
                while true {
                    do throws(KafkaError) {
                        let headers = RecordHeaders()
                        headers.append("event-id", "\(number)".utf8Span.span)
                        try producer.produce(
                            topic: topics[0], key: nil, value: value.span, headers: consume headers,
                            tag: UInt64(number))
                        break
                    } catch {
                        guard error.isQueueFull else { throw error }
                        #expect(error.kind == .transient)
                        timesFull += 1
                        await producer.waitForSpace()
                    }
                }
            }
            try await producer.flush(timeoutMs: 60_000)
            #expect(timesFull > 0)
            #expect(reports.received.map(\.tag).sorted() == (0..<500).map(UInt64.init))
            await producer.close(timeoutMs: 5_000)
        }
    }

    @Test func waitingForSpaceEndsWithTheTask() async throws {
        try await TestKafka.withPrivateCluster { cluster, configuration in
            try cluster.setBrokerDown(1)
            var configuration = configuration
            configuration.properties["queue.buffering.max.messages"] = "1"
            let producer = try Producer(configuration) { _ in }
            try producer.produce(topic: "t", key: nil, value: value.span, headers: nil, tag: 1)
            #expect(throws: KafkaError.self) {
                try producer.produce(topic: "t", key: nil, value: value.span, headers: nil, tag: 2)
            }
            let waiting = Task { await producer.waitForSpace() }
            waiting.cancel()
            await waiting.value
            // The client also counts its own errors as outstanding.
            #expect(producer.outstanding >= 1)
            await producer.close(timeoutMs: 0)
        }
    }

    @Test func aRecordThatIsTooLargeIsRefusedForGood() async throws {
        try await TestKafka.withTopics { topics in
            let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
            let large = [UInt8](repeating: 1, count: 1_100_000)
            let error = try #require(throws: KafkaError.self) {
                try producer.produce(
                    topic: topics[0], key: nil, value: large.span,
                    headers: RecordHeaders([RecordHeader(name: "a", value: [1])]), tag: 1)
            }
            #expect(error.name == "MSG_SIZE_TOO_LARGE")
            #expect(error.kind == .permanent)
            #expect(throws: KafkaError.self) {
                try producer.produce(
                    topic: String(repeating: "x", count: 600), key: nil, value: nil, headers: nil, tag: 2)
            }
            // Other records are still sent.
            try await producer.send(topic: topics[0], key: nil, value: value)
            await producer.close(timeoutMs: 5_000)
        }
    }

    @Test(arguments: [
        (10, "MSG_SIZE_TOO_LARGE", FailureKind.permanent),
        (87, "INVALID_RECORD", .permanent),
        (29, "TOPIC_AUTHORIZATION_FAILED", .everything),
    ])
    func whatTheBrokerRefusesIsReportedWithItsKind(code: Int, name: String, kind: FailureKind) async throws {
        try await TestKafka.withPrivateCluster { cluster, configuration in
            try cluster.createTopic("refused", partitions: 1)
            let producer = try Producer(configuration) { _ in }
            try await producer.send(topic: "refused", key: nil, value: value)
            cluster.pushRequestErrors(.produce, [Int32(code)])
            let error = try await #require(throws: KafkaError.self) {
                try await producer.send(topic: "refused", key: nil, value: value)
            }
            #expect(error.name == name)
            #expect(error.kind == kind)
            // The producer is usable again after it has seen that the topic's rights are restored.
            try await eventually {
                do throws(KafkaError) {
                    return try await producer.send(topic: "refused", key: nil, value: value).offset == 1
                } catch {
                    return false
                }
            }
            await producer.close(timeoutMs: 5_000)
        }
    }

    @Test func whatPassesIsRetriedWithoutAGapOrADuplicate() async throws {
        try await TestKafka.withPrivateCluster { cluster, configuration in
            try cluster.createTopic("retried", partitions: 1)
            let reports = Reports()
            let producer = try Producer(configuration, onDelivery: reports.append)
            // NOT_ENOUGH_REPLICAS (19), NOT_LEADER_FOR_PARTITION (6) and REQUEST_TIMED_OUT (7).
            cluster.pushRequestErrors(.produce, [19, 6, 7])
            for tag in UInt64(0)..<50 {
                try producer.produce(topic: "retried", key: nil, value: value.span, headers: nil, tag: tag)
            }
            try await producer.flush(timeoutMs: 60_000)
            #expect(reports.received.map(\.tag) == Array(0..<50))
            #expect(reports.received.map(\.offset) == Array(0..<50))
            #expect(reports.received.allSatisfy { $0.error == nil })
            await producer.close(timeoutMs: 5_000)
        }
    }

    @Test func aBrokerThatIsAwayIsWaitedFor() async throws {
        try await TestKafka.withPrivateCluster { cluster, configuration in
            try cluster.createTopic("away", partitions: 1)
            let errors = Mutex<[KafkaError]>([])
            let producer = try Producer(
                configuration, onError: { error in errors.withLock { $0.append(error) } }, onDelivery: { _ in })
            try await producer.send(topic: "away", key: nil, value: value)
            try cluster.setBrokerDown(1)
            async let report = producer.send(topic: "away", key: nil, value: value)
            try await eventually { errors.withLock { $0.contains { $0.name == "_ALL_BROKERS_DOWN" } } }
            #expect(errors.withLock { $0.allSatisfy { $0.kind == .transient } })
            try cluster.setBrokerUp(1)
            #expect(try await report.offset == 1)
            await producer.close(timeoutMs: 5_000)
        }
    }

    @Test func aRecordThatWaitsTooLongIsReportedAsTransient() async throws {
        try await TestKafka.withPrivateCluster { cluster, configuration in
            try cluster.setBrokerDown(1)
            var configuration = configuration
            configuration.properties["message.timeout.ms"] = "200"
            let producer = try Producer(configuration) { _ in }
            let error = try await #require(throws: KafkaError.self) {
                try await producer.send(topic: "late", key: nil, value: value)
            }
            #expect(error.isTimeout && error.kind == .transient)
            await producer.close(timeoutMs: 0)
        }
    }

    @Test func closingReportsWhatItGivesUp() async throws {
        try await TestKafka.withPrivateCluster { cluster, configuration in
            try cluster.setBrokerDown(1)
            let reports = Reports()
            let producer = try Producer(configuration, onDelivery: reports.append)
            for tag in UInt64(0)..<5 {
                try producer.produce(topic: "t", key: nil, value: value.span, headers: nil, tag: tag)
            }
            await #expect(throws: KafkaError.self) { try await producer.flush(timeoutMs: 50) }
            await producer.close(timeoutMs: 50)
            #expect(reports.received.map(\.tag).sorted() == Array(0..<5))
            #expect(reports.received.allSatisfy { $0.error?.kind == .transient })
            let error = try #require(throws: KafkaError.self) {
                try producer.produce(topic: "t", key: nil, value: nil, headers: nil, tag: 6)
            }
            #expect(error.isClosed)
        }
    }

    @Test func aFatalErrorEndsTheProducerAndSaysWhy() async throws {
        try await TestKafka.withPrivateCluster { cluster, configuration in
            // CLUSTER_AUTHORIZATION_FAILED: the client has no right to produce idempotently.
            cluster.pushRequestErrors(.initProducerID, [31])
            let told = Mutex<[KafkaError]>([])
            let producer = try Producer(
                configuration, onError: { error in told.withLock { $0.append(error) } }, onDelivery: { _ in })
            try await eventually { told.withLock { $0.contains { $0.isFatal } } }
            let thrown = try #require(throws: KafkaError.self) {
                try producer.produce(topic: "t", key: nil, value: nil, headers: nil, tag: 2)
            }
            let first = try #require(told.withLock { $0.first { $0.isFatal } })
            for fatal in [thrown, first, try #require(producer.fatalError)] {
                #expect(fatal.isFatal)
                #expect(fatal.name == "CLUSTER_AUTHORIZATION_FAILED")
                #expect(fatal.kind == .everything)
            }
            await producer.close(timeoutMs: 1_000)
        }
    }
}
