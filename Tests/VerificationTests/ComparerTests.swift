import Events
import Orders
import StreamCore
import Testing

@testable import Kafka
@testable import Verification

/// Compares one order in every state that can occur while all programs run, with the events that the topics contain.
@Suite struct ComparerTests {
    static let partition = TopicPartition(topic: "order-events", partition: 0)
    static let id = ExactText("o1")

    /// Creates the histories of a partition that contains the order's events one after the other.
    ///
    /// - Parameters:
    ///   - published: number of events in the topic.
    ///   - marker: the offset from which on events may be younger than the write model's snapshot.
    ///   - applied: number of events that the read model has applied.
    ///   - lost: offsets without an event.
    static func histories(
        _ events: [OrderEvent], published: Int, marker: Int64, applied: Int64, lost: Set<Int> = [],
        parked: Set<Int64> = []
    ) -> OrderHistories {
        var histories = OrderHistories(
            marker: [partition: marker],
            summary: ProjectionCut(name: "order-summary", nextOffsets: [partition: applied], parkedAt: parked),
            dashboard: nil, range: (nil, nil))
        for offset in 0..<published where !lost.contains(offset) {
            histories.add(.success(events[offset]), RecordOrigin(partition: partition, offset: Int64(offset)))
        }
        return histories
    }

    static func written(_ events: [OrderEvent]) throws -> WrittenOrder {
        let facts = Events.facts(events)
        let status = facts.cancelled != nil ? "cancelled" : facts.confirmed != nil ? "confirmed" : "created"
        return WrittenOrder(facts: facts, total: try facts.total(), status: status)
    }

    static func row(_ events: [OrderEvent]) throws -> [String?] { try SummaryColumns.values(of: Events.facts(events)) }

    /// The row of a read model that has applied this number of events. Events that do not change the row are skipped.
    static func row(_ events: [OrderEvent], applied: Int) throws -> [String?]? {
        applied == 0 ? nil : try row(events.prefix(applied).filter(\.type.changesReadModels))
    }

    static func compare(_ standard: OrderComparer.Standard, _ order: OrderCase) throws -> OrderComparer {
        var comparer = OrderComparer(standard, exampleLimit: 10)
        try comparer.add(order)
        return comparer
    }

    /// The write model is ahead of the topic, and the topic is ahead of the read model, by every possible number of
    /// events.
    @Test(arguments: [Events.wholeLife, Events.authorizedLife])
    func whateverIsUnderWayIsNoDifference(_ events: [OrderEvent]) throws {
        for written in 1...events.count {
            for published in 0...written {
                for applied in 0...published {
                    // The marker was taken before the snapshot, so it may be anywhere below the end.
                    let histories = Self.histories(
                        events, published: published, marker: Int64(published / 2), applied: Int64(applied))
                    let order = OrderCase(
                        id: Self.id, written: try Self.written(Array(events[..<written])),
                        unpublished: events[published..<written].map { EventKey($0) },
                        history: histories.orders[Self.id],
                        row: try Self.row(events, applied: applied))
                    for standard in [OrderComparer.Standard.events, .writeModel] {
                        let comparer = try Self.compare(standard, order)
                        #expect(comparer.summary.differing == 0, "\(written) \(published) \(applied)")
                        #expect(comparer.topics.differing == 0, "\(written) \(published) \(applied)")
                    }
                }
            }
        }
    }

    /// Events were committed, published and applied after the write model's snapshot.
    @Test(arguments: [Events.wholeLife, Events.authorizedLife])
    func whatCameAfterTheSnapshotIsNoDifference(_ events: [OrderEvent]) throws {
        for written in 0...events.count {
            for applied in written...events.count {
                let histories = Self.histories(
                    events, published: events.count, marker: Int64(written), applied: Int64(applied))
                let order = OrderCase(
                    id: Self.id, written: written == 0 ? nil : try Self.written(Array(events[..<written])),
                    history: histories.orders[Self.id],
                    row: try Self.row(events, applied: applied))
                for standard in [OrderComparer.Standard.events, .writeModel] {
                    let comparer = try Self.compare(standard, order)
                    #expect(comparer.summary.differing == 0, "\(written) \(applied)")
                    #expect(comparer.summary.leftOut == 0)
                    #expect(comparer.topics.differing == 0)
                }
            }
        }
    }

    @Test func anEventThatIsNowhereIsLost() throws {
        let events = Events.wholeLife
        let histories = Self.histories(
            events, published: events.count, marker: 8, applied: 8, lost: [2])
        let kept = events.enumerated().filter { $0.offset != 2 }.map(\.element)
        let order = OrderCase(
            id: Self.id, written: try Self.written(events), history: histories.orders[Self.id],
            row: try Self.row(kept))
        let byEvents = try Self.compare(.events, order)
        #expect(byEvents.topics.differences == [.init(subject: "o1", problem: .lostEvent("event 3 of order o1"))])
        #expect(byEvents.summary.differing == 0)
        // Without the history, the row shows the difference.
        let byTables = try Self.compare(.writeModel, order)
        #expect(byTables.summary.differing == 1)
        #expect(byTables.summary.differences.map(\.subject).allSatisfy { $0 == "o1" })
    }

    @Test func anEventThatTheWriteModelDoesNotKnowIsTold() throws {
        let events = Events.wholeLife
        let histories = Self.histories(events, published: 4, marker: 4, applied: 4)
        let order = OrderCase(
            id: Self.id, written: try Self.written(Array(events[..<3])), history: histories.orders[Self.id],
            row: try Self.row(Array(events[..<4])))
        let comparer = try Self.compare(.events, order)
        #expect(comparer.topics.differences.map(\.problem) == [.unknownEvent("event 4 of order o1")])
    }

    @Test func aParkedEventIsComparedWithout() throws {
        let events = Events.wholeLife
        // The fourth event is parked, and all later events of its key with it.
        let histories = Self.histories(events, published: 8, marker: 8, applied: 8, parked: [3])
        let kept = events.enumerated().filter { $0.offset != 3 }.map(\.element)
        let order = OrderCase(
            id: Self.id, written: try Self.written(events), history: histories.orders[Self.id],
            row: try Self.row(kept))
        let byEvents = try Self.compare(.events, order)
        #expect(byEvents.summary.differing == 0 && byEvents.summary.checked == 1)
        let byTables = try Self.compare(.writeModel, order)
        #expect(byTables.summary.leftOut == 1 && byTables.summary.differing == 0)
        // If the row contains the parked event, that is a difference.
        let applied = OrderCase(
            id: Self.id, written: order.written, history: order.history, row: try Self.row(events))
        #expect(try Self.compare(.events, applied).summary.differing == 1)
    }

    @Test func eachColumnThatDiffersIsNamed() throws {
        let events = Events.wholeLife
        let histories = Self.histories(events, published: 8, marker: 8, applied: 8)
        for index in SummaryColumns.names.indices {
            var row = try Self.row(events)
            row[index] = row[index] == nil ? "x" : nil
            let order = OrderCase(
                id: Self.id, written: try Self.written(events), history: histories.orders[Self.id], row: row)
            let comparer = try Self.compare(.events, order)
            let expected = try Self.row(events)[index]
            #expect(
                comparer.summary.differences == [
                    .init(
                        subject: "o1",
                        problem: .column(SummaryColumns.names[index], expected: expected, actual: row[index]))
                ])
        }
    }

    @Test func aRowOfNobodyAndARowThatIsMissingAreTold() throws {
        let stray = try Self.compare(.events, OrderCase(id: Self.id, row: try Self.row(Events.wholeLife)))
        #expect(stray.summary.differences.map(\.problem) == [.unexpected])
        let histories = Self.histories(Events.wholeLife, published: 8, marker: 8, applied: 8)
        let missing = try Self.compare(
            .events,
            OrderCase(
                id: Self.id, written: try Self.written(Events.wholeLife), history: histories.orders[Self.id]))
        #expect(missing.summary.differences.map(\.problem) == [.missing])
    }
}

@Suite struct ReplayPlanTests {
    static let partition = ComparerTests.partition

    static func plan(
        low: Int64, next: Int64, incomplete: String? = nil, hidden: [TopicPartition: Range<Int64>] = [:]
    ) throws -> ReplayPlan {
        var snapshot = ReadSnapshot()
        snapshot.summary = ProjectionCut(name: "order-summary", nextOffsets: [partition: next], parkedAt: [])
        return try ReplayPlan(
            [partition: Watermarks(low: low, high: 90)], ([partition: Watermarks(low: low, high: 100)], hidden),
            snapshot, incomplete)
    }

    /// With the events as the standard, the expected read models are known. Only events of the write model may be
    /// hidden.
    @Test func whatAnOpenTransactionHidesLeavesTheVerdictOpen() throws {
        var wrong = Verdict.Comparison(name: "any")
        wrong.note("a", [.missing], limit: 1)
        let cut = ProjectionCut(name: "order-summary")
        let byEvents = try Self.plan(low: 0, next: 80, hidden: [Self.partition: 100..<107])
        #expect(byEvents.judged(wrong).differing == 0)
        #expect(byEvents.judged(wrong).leftOut == 1)
        #expect(byEvents.judged(wrong).undecided?.contains("from offset 100 to 106") == true)
        #expect(byEvents.judged(wrong, by: cut).differing == 1)
        let byTables = try Self.plan(low: 0, next: 80, incomplete: "so", hidden: [Self.partition: 100..<107])
        #expect(byTables.judged(wrong, by: cut).undecided?.contains("an open transaction hides") == true)
        let right = Verdict.Comparison(name: "any")
        #expect(byTables.judged(right) == right)
        #expect(byTables.judged(right, by: cut) == right)
        #expect(try Self.plan(low: 0, next: 80).judged(wrong).differing == 1)
    }

    @Test func aTopicWithItsBeginningIsReadFromThere() throws {
        let plan = try Self.plan(low: 0, next: 80)
        #expect(plan.method == .events)
        #expect(plan.ranges == [Self.partition: 0..<100])
        #expect(plan.marker == [Self.partition: 90])
    }

    @Test func withoutTheBeginningOnlyWhatMayBeUnderWayIsRead() throws {
        let plan = try Self.plan(low: 7, next: 80)
        guard case .writeModel(let reason) = plan.method else { return #expect(Bool(false), "\(plan.method)") }
        #expect(reason.contains("order-events[0]") && reason.contains("7"))
        #expect(plan.ranges == [Self.partition: 80..<100])
        #expect(try Self.plan(low: 7, next: 95).ranges == [Self.partition: 90..<100])
        #expect(try Self.plan(low: 0, next: 80, incomplete: "new").method == .writeModel(because: "new"))
    }

    @Test func aProjectionWhoseEventsAreGoneHasNoVerdict() {
        #expect(
            throws: VerificationError.eventsAreGone(
                projection: "order-summary", partition: "order-events[0]", next: 3, oldest: 7)
        ) { try Self.plan(low: 7, next: 3) }
    }
}
