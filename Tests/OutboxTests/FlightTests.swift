import Foundation
import Glibc
import Kafka
import Logging
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import Outbox

@Suite struct FlightTests {
    private struct LockIsLost: Error {}

    /// A record that reached the producer after the others were taken back would overtake them: they come again, from
    /// the next leader.
    @Test func nothingIsHandedOverAfterTheLockIsLost() async throws {
        let reports = RelayReports(shard: 0, logger: Logger(label: "flight") { _ in SwiftLogNoOpLogHandler() }) { _ in }
        let flight = Flight(
            OutboxRelayConfiguration(), newsBell: Doorbell(), roomBell: Doorbell(), reports: reports)
        // Nobody is there: what the producer is given, it holds.
        let producer = try Producer(KafkaClientConfiguration(bootstrapServers: "127.0.0.1:1")) { flight.report($0) }
        flight.use(producer)
        let isTakenBack = Mutex(false)
        try flight.handingOver {
            guard
                case .launched(let tag) = flight.launch(
                    id: 1, bytes: 1, occurredAt: Timestamp(microseconds: 0), topicToProve: nil)
            else {
                Issue.record("there is room")
                return
            }
            Thread.detachNewThread {
                flight.lose(LockIsLost())
                isTakenBack.withLock { $0 = true }
            }
            while (try? flight.checkLock()) != nil { sched_yield() }
            // The lock was lost while the record was on its way to the producer.
            let key = Array("k".utf8)
            try producer.produce(topic: "t", key: key.span, value: key.span, headers: nil, tag: tag)
            #expect(!isTakenBack.withLock { $0 })
        }
        try await eventually { flight.rows == 0 }
        let later = flight.launch(id: 2, bytes: 1, occurredAt: Timestamp(microseconds: 0), topicToProve: nil)
        guard case .interrupted = later else {
            Issue.record("nothing may be sent any more")
            return
        }
        await producer.close(timeoutMs: 0)
    }
}
