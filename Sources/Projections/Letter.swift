internal import Kafka
internal import Letters
internal import StreamCore

/// What a projection says in its letter topic.
struct Letter: Sendable {
    typealias Reason = LetterReport.Reason

    let reason: Reason
    /// The record that it is about; nil for those about a circuit breaker.
    var record: RecordView?
    var origin: RecordOrigin?
    var delivery: Int?
    var timestampMs: Int64?
    var eventID: EventID?
    var stage: StoppedPartition.Stage?
    var errorClass: String?
    var message: String?
    /// What the letter lacks, as the broker does not take it.
    var kept = KeptParts.none
    /// It has been in the database since an earlier letter, and this one's record has nothing of it.
    var isKeptBefore = false

    /// What it lacks is to be written to the database.
    var isKeptNow: Bool { kept != .none && !isKeptBefore && reason.carriesRecord }

    /// The letter with less of the record; nil when nothing more can be left out.
    var shorter: Letter? {
        guard let next = reason.carriesRecord ? kept.next : kept == .record ? nil : .record else { return nil }
        var letter = self
        letter.kept = next
        return letter
    }

    /// A key in the place of one that the broker does not take, or where it wants one and there is none.
    var standInKey: [UInt8] {
        let place = origin.map { "\($0.partition.topic)/\($0.partition.partition)/\($0.offset)" }
        return Array((place ?? reason.rawValue).utf8)
    }
    /// The discarded event's row stays.
    var isRowKept = false
}

/// What all letters of a projection have in common.
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
    /// The original record's headers, as far as the letter has them.
    func ownHeaders(of record: RecordView) -> [RecordHeader] {
        kept >= .headers ? [] : record.headers.filter { !LetterHeaderNames.contain($0.name) }
    }
}
