import Testing

@testable import Projections

@Suite struct PartitionStartTests {
    private static let mark = RecordMark(offset: 8, digest: 1)
    private static let stored = StoredPosition(next: 10, mark: mark)

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let expected: PartitionStart
        var stored = PartitionStartTests.stored
        var doubt: PartitionDoubt?
        var low: Int64 = 0
        var high: Int64 = 100
        var isCompacted: Bool?

        init(_ description: String, _ expected: PartitionStart, _ change: (inout Case) -> Void = { _ in }) {
            testDescription = description
            self.expected = expected
            change(&self)
        }
    }

    static let cases = [
        Case("no doubt", .verifying(mark)),
        Case("no doubt and no mark", .unverified) { $0.stored.mark = nil },
        Case("another record", .replaced) { $0.doubt = .otherRecord(mark) },
        Case("another record, and shorter than before", .replaced) {
            $0.doubt = .otherRecord(mark)
            $0.high = 9
        },
        Case("another record than a mark that is not the stored one any more", .verifying(mark)) {
            $0.doubt = .otherRecord(RecordMark(offset: 5, digest: 1))
        },
        Case("no record in an ordinary topic", .replaced) { $0.doubt = .noRecord(mark) },
        Case("no record, and the broker says: not compacted", .replaced) {
            $0.doubt = .noRecord(mark)
            $0.isCompacted = false
        },
        Case("no record in a compacted topic", .unverified) {
            $0.doubt = .noRecord(mark)
            $0.isCompacted = true
        },
        Case("no record since retention deleted it", .unverified) {
            $0.doubt = .noRecord(mark)
            $0.low = 9
        },
        Case("the partition ends where the mark should be", .truncated) {
            $0.doubt = .noRecord(mark)
            $0.high = 8
        },
        Case("the mark is deleted, what comes next is not", .unverified) {
            $0.doubt = .outOfRange
            $0.low = 10
        },
        Case("an idle partition that retention emptied", .unverified) {
            $0.doubt = .outOfRange
            $0.low = 10
            $0.high = 10
        },
        Case("what comes next is deleted", .truncated) {
            $0.doubt = .outOfRange
            $0.low = 11
        },
        Case("Kafka has not come so far", .truncated) {
            $0.doubt = .outOfRange
            $0.high = 9
        },
        Case("out of range for a moment", .verifying(mark)) { $0.doubt = .outOfRange },
        Case("out of range for a moment, without a mark", .unverified) {
            $0.doubt = .outOfRange
            $0.stored.mark = nil
        },
    ]

    @Test(arguments: cases) func whereAPartitionBegins(example: Case) {
        let findings = PartitionFindings(low: example.low, high: example.high, isCompacted: example.isCompacted)
        let start = PartitionStart(
            example.stored, doubt: example.doubt, findings: example.doubt == nil ? nil : findings)
        #expect(start == example.expected)
    }
}
