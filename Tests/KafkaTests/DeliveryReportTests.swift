import StreamCore
import Testing

@testable import Kafka

@Suite struct DeliveryReportTests {
    @Test(arguments: [-1, -1_001] as [Int64]) func successWithoutAnOffsetIsNone(offset: Int64) throws {
        let report = DeliveryReport(tag: 1, error: nil, partition: 0, offset: offset)
        let error = try #require(report.error)
        #expect(error.kind == .transient, "it may be confirmed when it is sent again")
        #expect(!error.isFatal)
    }

    @Test func confirmedRecordHasNoError() {
        #expect(DeliveryReport(tag: 1, error: nil, partition: 0, offset: 0).error == nil)
    }

    @Test func brokersErrorIsKept() {
        let error = KafkaError.closed("test")
        #expect(DeliveryReport(tag: 1, error: error, partition: 0, offset: -1).error == error)
    }
}
