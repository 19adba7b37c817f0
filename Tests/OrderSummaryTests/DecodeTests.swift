import Events
import Kafka
import OrderSummary
import Orders
import Projections
import StreamCore
import TestKit
import Testing

/// Real records, valid and invalid, as the projection reads them.
struct DecodeTests {
    @Test func readsEventsPassesOthersAndRefusesTheRest() async throws {
        let event = Lifecycle.full()[0]
        let sound = EventEncoder.envelope(event)
        let values: [[UInt8]?] = [
            sound, nil, [], Array(#"{"eventType":"OrderArchived"}"#.utf8), Array("{".utf8), [0xFF], Array("[]".utf8),
            Array(String(decoding: sound, as: UTF8.self).replacing(#""version":2"#, with: #""version":9"#).utf8),
            Array(String(decoding: sound, as: UTF8.self).replacing(#""sequence":1,"#, with: #""sequence":0,"#).utf8),
            sound,
        ]
        let outcomes = try await TestKafka.withTopics { topics in
            let producer = try Producer(TestKafka.clientConfiguration()) { _ in }
            for value in values {
                _ = try await producer.send(topic: topics[0], key: Array("order-1".utf8), value: value)
            }
            await producer.close(timeoutMs: 5_000)
            return try await decodeAll(topics[0], count: values.count)
        }
        #expect(
            outcomes == [
                "event 1", "skipped tombstone", "empty_value", "skipped unknown_type", "invalid_json", "invalid_utf8",
                "wrong_shape", "unknown_version", "invalid_sequence", "event 1",
            ])
    }

    private func decodeAll(_ topic: String, count: Int) async throws -> [String] {
        let projection = OrderSummaryProjection()
        let consumer = try Consumer(TestKafka.clientConfiguration(), group: TestKafka.uniqueName("group"))
        try await consumer.assign([TopicPartition(topic: topic, partition: 0): .beginning])
        var outcomes: [String] = []
        try await eventually {
            if case .batch(let batch) = try await consumer.poll(BatchLimits()) {
                outcomes += batch.map { record in
                    do throws(EventFailure) {
                        switch try projection.decode(record) {
                        case .event(let identity, _): return "event \(identity.sequence)"
                        case .skipped(let reason): return "skipped \(reason.name)"
                        }
                    } catch {
                        return error.errorClass
                    }
                }
            }
            return outcomes.count >= count
        }
        #expect(await consumer.close(timeoutMs: 60_000))
        return outcomes
    }

    @Test func readsTheTopicsOfAllAggregates() {
        let projection = OrderSummaryProjection()
        #expect(projection.topics == ["order-events", "payment-events", "shipment-events"])
        #expect(projection.name == "order-summary")
        #expect(projection.version == 1)
    }
}
