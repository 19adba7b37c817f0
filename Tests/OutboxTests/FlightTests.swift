import Foundation
import Glibc
import Leadership
import Logging
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import Kafka
@testable import Outbox

@Suite struct FlightTests {
    private struct LockIsLost: Error {}

    /// After the lock is lost, the relay takes its records back from the producer, and the next leader sends their rows
    /// again. A record that reached the producer after that moment would overtake them.
    @Test func nothingIsHandedOverAfterTheLockIsLost() async throws {
        let flight = Self.flight()
        // No broker runs at this address, so the producer keeps every record it receives.
        let producer = try Producer(KafkaClientConfiguration(bootstrapServers: "127.0.0.1:1")) { flight.report($0) }
        flight.use(producer)
        let isTakenBack = Mutex(false)
        try flight.handingOver {
            guard
                case .admitted(let tag) = flight.admit(
                    id: 1, bytes: 1, occurredAt: Timestamp(microseconds: 0), probe: nil)
            else {
                Issue.record("expected room for a row")
                return
            }
            Thread.detachNewThread {
                flight.lose(LockIsLost())
                isTakenBack.withLock { $0 = true }
            }
            while (try? flight.checkLock()) != nil { sched_yield() }
            // The lock was lost between the admission of the row and the call of `produce`.
            let key = Array("k".utf8)
            try producer.produce(topic: "t", key: key.span, value: key.span, headers: nil, tag: tag)
            #expect(!isTakenBack.withLock { $0 })
        }
        try await eventually { flight.rows == 0 }
        let later = flight.admit(id: 2, bytes: 1, occurredAt: Timestamp(microseconds: 0), probe: nil)
        guard case .interrupted = later else {
            Issue.record("a row was admitted after the lock was lost")
            return
        }
        await producer.close(timeoutMs: 0)
    }

    /// A broker that does not know the producer may accept a later batch although it refused an earlier one. librdkafka
    /// then reports the earlier batch as delivered, but without an offset.
    @Test func successWithoutAnOffsetIsAFailure() {
        let flight = Self.flight()
        let first = admit(1, in: flight)
        let second = admit(2, in: flight)
        flight.report([delivered(first, offset: -1), delivered(second, offset: 0)])
        #expect(flight.takeAcknowledged(limit: 10) == [], "the younger row is sent again, too")
        #expect(flight.hasFailed)
        let (failures, lowest) = flight.abandonProducer()
        #expect(failures.map(\.id) == [1])
        #expect(failures.first.map { DeliveryFailure($0.error) } == .producer, "no record caused it")
        #expect(lowest == 1)
    }

    @Test func behindAFailureOnlyOtherPartitionsAreTrusted() {
        let flight = Self.flight()
        let tags = (Int64(1)...5).map { admit($0, in: flight) }
        flight.report([
            delivered(tags[0], partition: 3, offset: 7),
            DeliveryReport(tag: tags[1], error: .closed("test"), partition: 3, offset: -1),
            delivered(tags[2], partition: 3, offset: 8), delivered(tags[3], partition: 4, offset: 1),
        ])
        #expect(flight.takeAcknowledged(limit: 10) == [1, 4])
        let (failures, lowest) = flight.abandonProducer()
        #expect(failures.map(\.id) == [2])
        #expect(lowest == 2)
        #expect(flight.rows == 0)
        flight.finishRemoval()
        let again = admit(3, in: flight)
        flight.report([delivered(again, partition: 3, offset: 9)])
        #expect(flight.takeAcknowledged(limit: 10) == [3], "a new producer has a new partition state")
    }

    @Test func failedFirstRecordIsReadAgainWithTheProducersOtherRows() {
        let flight = Self.flight()
        let probe = SendAdmission.Probe(topic: "t", partition: 0)
        let tag = admit(4, in: flight, probe: probe)
        flight.report([DeliveryReport(tag: tag, error: .closed("test"), partition: 0, offset: -1)])
        #expect(!flight.hasFailed, "the publisher decides what this failure means")
        #expect(flight.abandonProducer().lowest == 4)
    }

    private static func flight() -> Flight {
        let reports = RelayReports(shard: 0, logger: Logger(label: "flight") { _ in SwiftLogNoOpLogHandler() }) { _ in }
        return Flight(OutboxRelayConfiguration(), newsSignal: WakeSignal(), roomSignal: WakeSignal(), reports: reports)
    }

    private func admit(_ id: Int64, in flight: Flight, probe: SendAdmission.Probe? = nil) -> UInt64 {
        let answer = flight.admit(id: id, bytes: 1, occurredAt: Timestamp(microseconds: 0), probe: probe)
        guard case .admitted(let tag) = answer else {
            Issue.record("expected room for a row")
            return 0
        }
        return tag
    }

    private func delivered(_ tag: UInt64, partition: Int32 = 0, offset: Int64) -> DeliveryReport {
        DeliveryReport(tag: tag, error: nil, partition: partition, offset: offset)
    }
}
