import Kafka
import StreamCore
import TestKit
import Testing

/// A record copied out of its batch.
struct ReadRecord: Equatable {
    var topicPartition: TopicPartition
    var offset: Int64
    var key: [UInt8]?
    var value: [UInt8]?
    var headers: [RecordHeader]

    init(_ view: RecordView) {
        topicPartition = view.topicPartition
        offset = view.offset
        key = bytes(view.key)
        value = bytes(view.value)
        headers = view.headers
    }
}

func bytes(_ span: Span<UInt8>?) -> [UInt8]? {
    guard let span else { return nil }
    return span.indices.map { span[$0] }
}

/// Reads a partition from its beginning, without a group.
func readAll(_ topic: String, partition: Int32 = 0, count: Int) async throws -> [ReadRecord] {
    let consumer = try Consumer(try TestKafka.clientConfiguration(), group: TestKafka.uniqueName("group"))
    try await consumer.assign([TopicPartition(topic: topic, partition: partition): .beginning])
    var records: [ReadRecord] = []
    try await eventually {
        if case .batch(let batch) = try await consumer.poll(BatchLimits()) { records += batch.map(ReadRecord.init) }
        return records.count >= count
    }
    #expect(await consumer.close(timeoutMs: 60_000))
    return records
}
