internal import Kafka
internal import StreamCore

/// A record of a test case.
struct CaseRecord: MappableRecord {
    let topicPartition: TopicPartition
    let offset: Int64
    let timestampMs: Int64?
    let keyBytes: [UInt8]?
    let valueBytes: [UInt8]?
    let headers: [String: String]

    var key: Span<UInt8>? { @_lifetime(borrow self) get { keyBytes?.span } }
    var value: Span<UInt8>? { @_lifetime(borrow self) get { valueBytes?.span } }

    func header(named name: String) -> RecordHeader? {
        headers[name].map { RecordHeader(name: name, value: Array($0.utf8)) }
    }
}
