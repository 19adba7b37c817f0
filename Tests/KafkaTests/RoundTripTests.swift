import Kafka
import StreamCore
import TestKit
import Testing

@Suite struct RoundTripTests {
    @Test func keepsNullApartFromEmpty() async throws {
        try await TestKafka.withTopics { topics in
            let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
            let given: [(key: [UInt8]?, value: [UInt8]?)] = [
                (nil, nil), ([], []), (Array("key".utf8), nil), (nil, Array("value".utf8)), ([0, 255], [0]),
            ]
            let headers = [
                RecordHeader(name: "null", value: nil), RecordHeader(name: "empty", value: []),
                RecordHeader(name: "text", value: Array("grüße".utf8)), RecordHeader(name: "text", value: [1]),
            ]
            for record in given {
                try await producer.send(topic: topics[0], key: record.key, value: record.value, headers: headers)
            }
            let records = try await readAll(topics[0], count: given.count)
            #expect(records.map(\.key) == given.map(\.key))
            #expect(records.map(\.value) == given.map(\.value))
            #expect(records.map(\.offset) == [0, 1, 2, 3, 4])
            for record in records { #expect(record.headers == headers) }
            await producer.close(timeoutMs: 5_000)
        }
    }
}
