import StreamCore
import Testing

@testable import Projections

/// A batch with one letter for each event. `a` and `b` name the partition; a capital letter fails.
private struct Case {
    let letters: [Character]
    let layout: BatchLayout

    init(_ text: String, skippedAtEndOfB: Int64 = 0) {
        letters = Array(text)
        var layout = BatchLayout()
        let a = layout.appendPart(TopicPartition(topic: "a", partition: 0), from: 100)
        let b = layout.appendPart(TopicPartition(topic: "b", partition: 0), from: 200)
        for letter in letters {
            let part = letter.lowercased() == "a" ? a : b
            layout.appendEvent(part: part, offset: layout.parts[part].end)
        }
        for _ in 0..<skippedAtEndOfB { layout.appendSkipped(part: b, offset: layout.parts[b].end) }
        self.layout = layout
    }

    struct Outcome: Equatable {
        var applied = ""
        var isolated: [Int] = []
        var next: [String: Int64] = [:]
        var transactions = 0
    }

    func run() -> Outcome {
        var splitter = BatchSplitter(layout)
        var outcome = Outcome()
        while let slice = splitter.next(), outcome.transactions < 1_000 {
            outcome.transactions += 1
            let items = slice.items.filter {
                $0 < slice.cutOffs[Int(layout.partOfItem[$0])] ?? .max
            }
            if items.contains(where: { letters[$0].isUppercase }) {
                if case .isolated(let item) = splitter.failed(slice) { outcome.isolated.append(item) }
            } else {
                outcome.applied += String(items.map { letters[$0] })
                for move in slice.moves { outcome.next[move.partition.topic] = move.next }
                splitter.succeeded(slice)
            }
        }
        return outcome
    }
}

@Suite struct BatchSplitterTests {
    @Test func aGoodBatchIsOneTransaction() {
        #expect(Case("abab").run() == .init(applied: "abab", next: ["a": 102, "b": 202], transactions: 1))
    }

    @Test func anEmptyBatchIsNone() {
        #expect(BatchSplitterTests.transactions(of: BatchLayout()) == 0)
    }

    @Test func aFailingEventEndsItsPartitionAlone() {
        let outcome = Case("abaAbaab").run()
        #expect(outcome.applied == "ababb")
        #expect(outcome.isolated == [3])
        #expect(outcome.next == ["a": 102, "b": 203])
    }

    @Test func everyPartitionMayHaveItsOwn() {
        let outcome = Case("aabBAbba").run()
        #expect(outcome.applied == "aab")
        #expect(outcome.isolated == [3, 4])
        #expect(outcome.next == ["a": 102, "b": 201])
    }

    @Test func aFailureAmongManyCostsFewTransactions() {
        let text = String(repeating: "ab", count: 1_000) + "A" + String(repeating: "ba", count: 1_000)
        let outcome = Case(text).run()
        #expect(outcome.isolated == [2_000])
        #expect(outcome.applied.filter { $0 == "b" }.count == 2_000)
        #expect(outcome.transactions <= 28)
    }

    @Test(arguments: 0..<64) func anyFailuresLeaveThePrefixOfEachPartition(bits: Int) {
        let text = (0..<6).map { index in
            let letter = index % 3 == 1 ? "b" : "a"
            return bits >> index & 1 == 1 ? letter.uppercased() : letter
        }.joined()
        let outcome = Case(text, skippedAtEndOfB: 3).run()
        for name in ["a", "b"] {
            let own = text.filter { $0.lowercased() == name }
            let prefix = own.prefix { $0.isLowercase }
            #expect(outcome.applied.filter { String($0) == name }.count == prefix.count, "\(text)")
            let start: Int64 = name == "a" ? 100 : 200
            let skipped: Int64 = name == "b" && prefix.count == own.count ? 3 : 0
            let isMoved = !prefix.isEmpty || skipped > 0
            #expect(outcome.next[name] == (isMoved ? start + Int64(prefix.count) + skipped : nil), "\(text)")
        }
    }

    @Test func skippedRecordsAlonePassWithTheBatch() {
        let outcome = Case("aa", skippedAtEndOfB: 2).run()
        #expect(outcome.next == ["a": 102, "b": 202])
        #expect(Case("Aa", skippedAtEndOfB: 2).run().next == ["b": 202])
    }

    @Test func aPartDroppedMeanwhileIsNotBlamedOnTheOther() throws {
        var splitter = BatchSplitter(Case("Ab").layout)
        let next = splitter.next()
        let slice = try #require(next)
        splitter.drop(TopicPartition(topic: "a", partition: 0))
        #expect(splitter.failed(slice) == .split)
        let last = splitter.next()
        let rest = try #require(last)
        #expect(rest.cutOffs == [0: 0])
        #expect(rest.moves.map(\.next) == [201])
    }

    @Test func aPartThatIsCutEndsThereAndTheOthersGoOn() throws {
        var splitter = BatchSplitter(Case("abaabb", skippedAtEndOfB: 2).layout)
        splitter.cut(part: 0, at: 2)
        let next = splitter.next()
        let slice = try #require(next)
        #expect(slice.items == 0..<6 && slice.cutOffs == [0: 2])
        #expect(slice.moves.map(\.next) == [101, 205])
        #expect(splitter.candidates(in: 0) == [0] && splitter.candidates(in: 1) == [1, 4, 5])
        splitter.cut(part: 0, at: 3)
        #expect(splitter.next()?.cutOffs == [0: 2], "the first cut stays in effect")
        splitter.succeeded(slice)
        #expect(splitter.next() == nil)
        #expect(splitter.isCut(part: 0) && !splitter.isDropped(part: 0) && !splitter.isCut(part: 1))
    }

    @Test func aSliceThatFailsWhileAPartIsCutIsTriedAsItIsNow() throws {
        var splitter = BatchSplitter(Case("ab").layout)
        let next = splitter.next()
        let slice = try #require(next)
        splitter.cut(part: 1, at: 1)
        let failure = ItemFailure(stage: .apply, failure: EventFailure("bad", "bad"))
        #expect(splitter.failed(slice, culprit: 1, failure) == .split)
        #expect(splitter.next()?.moves.map(\.next) == [101])
    }

    @Test func aSliceWithoutEventsBlamesNone() throws {
        var splitter = BatchSplitter(Case("", skippedAtEndOfB: 2).layout)
        let next = splitter.next()
        let slice = try #require(next)
        #expect(splitter.failed(slice) == .noEvent)
    }

    @Test func aSuspectIsTriedAgainWithTheOthersOnce() throws {
        var splitter = BatchSplitter(Case("aaaa").layout)
        _ = splitter.shrink()
        _ = splitter.shrink()
        let alone = splitter.next()
        let slice = try #require(alone)
        var isWider = splitter.widen(beyond: slice, around: 0)
        #expect(isWider && splitter.suspect == 0)
        let wider = splitter.next()
        #expect(wider?.items == 0..<4)
        isWider = splitter.widen(beyond: slice, around: 0)
        #expect(!isWider, "the wider slice was tried already")
        splitter.succeeded(try #require(wider))
        #expect(splitter.suspect == nil)
        var last = BatchSplitter(Case("a").layout)
        let only = last.next()
        isWider = last.widen(beyond: try #require(only), around: 0)
        #expect(!isWider, "there are no other events")
    }

    @Test func shrinkingHalvesDownToOneEvent() throws {
        var splitter = BatchSplitter(Case("aaaa").layout)
        var didShrink = splitter.shrink()
        #expect(didShrink && splitter.next()?.items == 0..<2)
        didShrink = splitter.shrink()
        #expect(didShrink && splitter.next()?.items == 0..<1)
        didShrink = splitter.shrink()
        #expect(!didShrink, "one event cannot be halved")
        let first = splitter.next()
        #expect(first?.items == 0..<1)
        splitter.succeeded(try #require(first))
        let second = splitter.next()
        #expect(second?.items == 1..<2)
        splitter.succeeded(try #require(second))
        #expect(splitter.next()?.items == 2..<4)
    }

    private static func transactions(of layout: BatchLayout) -> Int {
        var splitter = BatchSplitter(layout)
        return splitter.next() == nil ? 0 : 1
    }
}
