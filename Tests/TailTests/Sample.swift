import StreamCore
import Testing

@testable import Tail

/// Records for tests.
enum Sample {
    static let partition = TopicPartition(topic: "order-events", partition: 3)

    static func record(
        offset: Int64 = 17, timestampMs: Int64? = 1_772_366_400_123, key: String? = "ord-1", value: String?,
        headers: [(name: String, value: [UInt8]?)] = []
    ) -> CopiedRecord {
        CopiedRecord(
            partition, offset: offset, timestampMs: timestampMs, key: key.map { Array($0.utf8) },
            value: value.map { Array($0.utf8) }, headers: headers)
    }

    static func event(_ payload: String, type: String = "OrderCreated", sequence: Int = 1) -> String {
        """
        {"eventId":"e","eventType":"\(type)","aggregateId":"ord-1","sequence":\(sequence),"payload":\(payload)}
        """
    }

    /// The output of a printer that receives all records at once.
    static func printed(_ records: [CopiedRecord], _ change: (inout PrinterSettings) throws -> Void) rethrows -> String
    {
        var settings = PrinterSettings()
        try change(&settings)
        var printer = RecordPrinter(settings)
        var out: [UInt8] = []
        for record in records { printer.measure(record) }
        for record in records { printer.write(record, to: &out) }
        printer.end(to: &out)
        return String(decoding: out, as: UTF8.self)
    }
}
