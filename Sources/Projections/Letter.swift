internal import Kafka
internal import Letters
internal import StreamCore

/// A message of a projection in its letter topic.
struct Letter: Sendable {
    typealias Reason = LetterReport.Reason

    let reason: Reason
    /// The record that the letter is about; nil for letters about a circuit breaker.
    var record: RecordView?
    var origin: RecordOrigin?
    var delivery: Int?
    var timestampMs: Int64?
    var eventID: EventID?
    var stage: StoppedPartition.Stage?
    var errorClass: String?
    var message: String?
    /// The parts of the record that the letter lacks, because the broker does not accept them.
    var kept = KeptParts.none
    /// Whether the database has had these parts since an earlier letter. This letter's record does not contain them.
    var isKeptBefore = false

    /// Whether the missing parts must be written to the database.
    var isKeptNow: Bool { kept != .none && !isKeptBefore && reason.carriesRecord }

    /// The letter with one part of the record less; nil if nothing more can be left out.
    var shorter: Letter? {
        guard let next = reason.carriesRecord ? kept.next : kept == .record ? nil : .record else { return nil }
        var letter = self
        letter.kept = next
        return letter
    }

    /// A key that replaces one that the broker does not accept, or that is missing where the topic requires one.
    var standInKey: [UInt8] {
        let place = origin.map { "\($0.partition.topic)/\($0.partition.partition)/\($0.offset)" }
        return Array((place ?? reason.rawValue).utf8)
    }
    /// Whether the row of a discarded event stays.
    var isRowKept = false
}

/// The common data of all letters of a projection.
struct LetterSender: Sendable {
    let consumer: String
    let group: String
    let route: DeadLetterRoute

    func headers(of letter: Letter) -> RecordHeaders {
        let headers = RecordHeaders(capacity: 24)
        if letter.reason.carriesRecord, let record = letter.record {
            for header in letter.ownHeaders(of: record) { headers.append(header.name, header.value?.span) }
        }
        headers.append(report(letter).fields)
        return headers
    }

    func report(_ letter: Letter) -> LetterReport {
        var report = LetterReport(letter.reason)
        report.consumer = consumer
        report.group = group
        report.origin = letter.origin
        report.origin?.timestampMs = letter.timestampMs
        report.delivery = letter.delivery
        report.isOrdered = route.order == .key
        report.stage = letter.stage?.rawValue
        report.errorClass = letter.errorClass
        report.message = letter.message
        report.eventID = letter.eventID
        report.kept = letter.kept
        report.isRowKept = letter.isRowKept
        return report
    }
}

extension Letter {
    /// The headers of the original record that the letter contains.
    func ownHeaders(of record: RecordView) -> [RecordHeader] {
        kept >= .headers ? [] : record.headers.filter { !LetterHeaderNames.contain($0.name) }
    }
}
