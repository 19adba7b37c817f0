import DeadLetters
import Postgres
import StreamCore
import Testing

@Suite struct LetterListTests {
    @Test func pagesFollowEachOtherWithoutGapOrOverlap() async throws {
        try await LetterScene.run { scene in
            try await scene.add(100)
            var filter = DeadLetterStore.Filter()
            filter.states = DeadLetterStore.State.open
            var seen: [Int64] = []
            var before: Int64?
            repeat {
                let page = try await scene.store.list(filter, limit: 30, before: before)
                seen += page.letters.map(\.letterID)
                before = page.next
            } while before != nil
            #expect(seen == Array((1...100).reversed()))
        }
    }

    @Test func everyFilterHolds() async throws {
        try await LetterScene.run { scene in
            try await scene.add(200)
            try await scene.add(40, consumer: "dashboard")
            try await scene.connection.execute(
                .unprepared(
                    """
                    UPDATE dead_letters SET state = CASE letter_id WHEN 3 THEN 'resolved' WHEN 4 THEN 'discarded'
                        ELSE 'retrying' END WHERE letter_id IN (3, 4, 5)
                    """))
            try await scene.connection.execute(
                "UPDATE dead_letters SET created_at = now() - interval '2 days' WHERE letter_id <= 10")

            func numbers(_ set: (inout DeadLetterStore.Filter) -> Void) async throws -> [Int64] {
                var filter = DeadLetterStore.Filter()
                set(&filter)
                return try await scene.store.list(filter, limit: 1_000).letters.map(\.letterID).reversed()
            }
            #expect(try await numbers { _ in } == Array(1...240))
            #expect(try await numbers { $0.consumer = "dashboard" } == Array(201...240))
            #expect(try await numbers { $0.states = [.resolved] } == [3])
            #expect(try await numbers { $0.states = [.discarded, .retrying] } == [4, 5])
            #expect(
                try await numbers {
                    $0.consumer = "order-summary"
                    $0.states = [.retrying]
                } == [5])
            #expect(try await numbers { $0.errorClass = "class_2" }.count == 48)
            #expect(
                try await numbers { $0.fingerprint = "000000000000000a" }
                    == Array(stride(from: 10, to: 201, by: 20)) + [210, 230])
            #expect(try await numbers { $0.fingerprint = "00000000000000" }.count == 240)
            #expect(try await numbers { $0.fingerprint = "f" }.isEmpty)
            #expect(try await numbers { $0.key = Array("order-7".utf8) } == [7, 207])
            #expect(
                try await numbers {
                    $0.key = Array("order-7".utf8)
                    $0.consumer = "dashboard"
                } == [207])
            #expect(try await numbers { $0.olderThan = .seconds(86_400) } == Array(1...10))
            #expect(try await numbers { $0.newerThan = .seconds(86_400) } == Array(11...240))
        }
    }

    @Test func keysBeyondAnIndexEntryAreToldApart() async throws {
        try await LetterScene.run { scene in
            try await scene.add(2)
            try await scene.connection.execute(
                "UPDATE dead_letters SET key = convert_to(repeat('k', 10000) || letter_id, 'UTF8')")
            var filter = DeadLetterStore.Filter()
            filter.key = Array((String(repeating: "k", count: 10_000) + "2").utf8)
            let letters = try await scene.store.list(filter).letters
            #expect(letters.map(\.letterID) == [2])
            #expect(letters.first?.key?.count == 1_024)
        }
    }

    @Test func groupsCountByStateAndAreFoundByAShortName() async throws {
        try await LetterScene.run { scene in
            try await scene.add(100)
            try await scene.add(20, consumer: "dashboard", state: "resolved")
            let open = try await scene.store.groups()
            #expect(open.count == 20)
            #expect(open.allSatisfy { $0.pending == 5 && $0.open == 5 && $0.name.consumer == "order-summary" })
            #expect(try await scene.store.groups(includingClosed: true).count == 40)
            var filter = DeadLetterStore.Filter()
            filter.errorClass = "class_3"
            #expect(try await scene.store.groups(filter).count == 4)

            let short = try #require(DeadLetterStore.GroupName("order-summary/class_3/00000000000000"))
            await #expect(throws: DeadLetterStore.NameError.self) { try await scene.store.group(named: short) }
            let name = try #require(DeadLetterStore.GroupName("order-summary/class_3/0000000000000003"))
            let group = try await scene.store.group(named: name)
            #expect(group.exampleLetter == 3)
            #expect(group.exampleMessage == "field 3 is wrong")
            let none = try #require(DeadLetterStore.GroupName("order-summary/class_3/e"))
            await #expect(throws: DeadLetterStore.NameError.noSuchGroup(none)) {
                try await scene.store.group(named: none)
            }
        }
    }

    @Test(arguments: ["", "a", "a/b", "a//c", "/b/c", "a/b/"]) func otherTextIsNoGroup(text: String) {
        #expect(DeadLetterStore.GroupName(text) == nil)
    }

    @Test func aLetterIsShownWithAllThatBelongsToIt() async throws {
        try await LetterScene.run { scene in
            // There are ten keys. The key order-0 of letter 50 has four letters before it and five after it.
            try await scene.add(100, keys: 10)
            try await scene.connection.execute(
                "UPDATE dead_letters SET state = 'resolved' WHERE letter_id = 40")
            _ = try await scene.store.edit(
                50, value: Array("{}".utf8), eventID: .init(high: 1, low: 2), by: LetterScene.audit)
            let detail = try #require(try await scene.store.show(50))
            #expect(detail.letter.summary.letterID == 50)
            #expect(detail.letter.summary.origin.description == "order-events/0/50")
            #expect(detail.letter.key == Array("order-0".utf8))
            #expect(detail.letter.value?.count ?? 0 > 300)
            #expect(detail.letter.headers.map(\.name) == ["event-type", "trace", "empty"])
            #expect(detail.letter.headers.map(\.value) == [Array("OrderCreated".utf8), nil, []])
            #expect(detail.sequence.map(\.letterID) == [10, 20, 30, 60, 70, 80, 90, 100])
            #expect(detail.openBefore == 3)
            #expect(detail.openBehind == 5)
            #expect(detail.edits.map(\.number) == [1])
            #expect(detail.edits.first?.eventID == .init(high: 1, low: 2))
            #expect(detail.history.map(\.action) == ["edited"])
            #expect(detail.history.first?.actor == "mara")
            #expect(try await scene.store.show(101)?.letter.summary.letterID == nil)
        }
    }

    @Test func aLongSequenceIsShownInPart() async throws {
        try await LetterScene.run { scene in
            try await scene.add(100, keys: 1)
            let detail = try #require(try await scene.store.show(50))
            #expect(detail.sequence.map(\.letterID) == Array(40...49) + Array(51...60))
            #expect(detail.openBefore == 49)
            #expect(detail.openBehind == 50)
            try await scene.connection.execute("UPDATE dead_letters SET sequence = NULL")
            #expect(try await scene.store.show(50)?.sequence.isEmpty == true)
        }
    }

    @Test func anExportReadsEachLetterOnceInPagesOfItsSize() async throws {
        try await LetterScene.run { scene in
            try await scene.add(1_200)
            try await scene.connection.execute(
                """
                UPDATE dead_letters SET value = convert_to(repeat('x', 100000), 'UTF8')
                WHERE letter_id BETWEEN 10 AND 19
                """)
            var seen: [Int64] = []
            var pages = 0
            try await scene.store.export(.matching(.init()), pageBytes: 200_000) { letters in
                seen += letters.map(\.summary.letterID)
                pages += 1
                #expect(letters.dropLast().reduce(0) { $0 + ($1.value?.count ?? 0) } < 200_000)
            }
            #expect(seen == Array(1...1_200))
            #expect(pages > 5)
        }
    }
}
