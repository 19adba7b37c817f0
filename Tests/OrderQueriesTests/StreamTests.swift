import HTTP
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import OrderQueries

@Suite struct StreamTests {
    @Test func theRingGivesWhatWasMissed() {
        var ring = EventRing<Int>(capacity: 3)
        #expect(ring.events(after: 0) == [])
        for event in 1...5 { ring.append(event) }
        #expect(ring.last == 5)
        #expect(ring.events(after: 5) == [])
        #expect(ring.events(after: 3) == [4, 5])
        #expect(ring.events(after: 2) == [3, 4, 5])
        #expect(ring.events(after: 1) == nil)
        #expect(ring.events(after: 6) == nil)
        #expect(ring.events(after: -1) == nil)
    }

    @Test func readsPositions() {
        let position = StreamPosition(epoch: "ab-c.24h", number: 12)
        #expect(StreamPosition(position.text) == position)
        for text in ["", "-", "a-", "a-x", "12", String(repeating: "a", count: 64) + "-1"] {
            #expect(StreamPosition(text) == nil, "\(text)")
        }
    }

    // MARK: channels

    private func document(_ statuses: String, asOf: Int64 = 0) -> DashboardDocument {
        var document = DashboardDocument(window: .day, at: Timestamp(microseconds: 1_770_000_000_000_000))
        document.asOf = Timestamp(microseconds: asOf)
        document[.statuses] = Array(statuses.utf8)
        return document
    }

    /// The chunks as text, as a client would receive them.
    private func text(_ chunks: [HTTPChunk]) async throws -> String {
        let received = Mutex("")
        let writer = HTTPBodyWriter { (chunk) throws(HTTPBodyWriter.WriteError) in
            received.withLock { $0 += String(decoding: chunk.content, as: UTF8.self) }
        }
        for chunk in chunks { try await writer.write(chunk) }
        return received.withLock { $0 }
    }

    @Test func beginsWithASnapshotAndGoesOnWithWhatChanged() async throws {
        let channel = StreamChannel(window: .day, epoch: "e")
        channel.publish(document("[1]"))
        guard case .events(let first, let position) = await channel.next(after: nil) else {
            Issue.record("no snapshot")
            return
        }
        let snapshot = try await text(first)
        #expect(snapshot.hasPrefix("id: e.24h-1\nevent: snapshot\ndata: {\"asOf\":"))
        #expect(snapshot.contains(#""statuses":[1]"#) && snapshot.contains(#""latestOrders":null"#))
        #expect(snapshot.hasSuffix("}\n\n"))
        // Only the time has changed, so clients get no event.
        channel.publish(document("[1]", asOf: 5))
        channel.publish(document("[2]", asOf: 6))
        guard case .events(let second, let next) = await channel.next(after: position) else {
            Issue.record("no update")
            return
        }
        let update = try await text(second)
        #expect(second.count == 1 && next == 2)
        #expect(update.hasPrefix("id: e.24h-2\nevent: update\ndata: "))
        #expect(update.contains(#""statuses":[2]"#) && !update.contains("latestOrders"))
        #expect(update.contains(#""asOf":"1970-01-01T00:00:00.000006Z""#))
    }

    @Test func resumesWithinTheRingAndStartsAnewBeyond() async throws {
        let channel = StreamChannel(window: .day, epoch: "e")
        for number in 1...40 { channel.publish(document("[\(number)]")) }
        #expect(channel.position(after: "e.24h-38") == 38)
        #expect(channel.position(after: "e.24h-40") == 40)
        // A position that is too old, one that was never sent, one of another window, one of another process, and two
        // invalid texts.
        for id in ["e.24h-3", "e.24h-41", "e.1h-38", "f.24h-38", "x", ""] {
            #expect(channel.position(after: id) == nil, "\(id)")
        }
        guard case .events(let missed, 40) = await channel.next(after: 38) else {
            Issue.record("no events")
            return
        }
        let updates = try await text(missed)
        #expect(updates.contains("[39]") && updates.contains("[40]") && !updates.contains("snapshot"))
        // A client that was too slow gets a complete snapshot.
        guard case .events(let fresh, 40) = await channel.next(after: 3) else {
            Issue.record("no snapshot")
            return
        }
        #expect(try await text(fresh).contains("event: snapshot"))
    }

    @Test func wakesAllWhoWaitAndLetsThemGo() async throws {
        let channel = StreamChannel(window: .day, epoch: "e")
        channel.publish(document("[1]"))
        let outcomes = await withTaskGroup(of: String.self) { group in
            for _ in 0..<100 {
                group.addTask {
                    switch await channel.next(after: 1) {
                    case .events(_, let position): "\(position)"
                    case .heartbeat: "beat"
                    case .cancelled: "cancelled"
                    }
                }
            }
            channel.publish(document("[2]"))
            var outcomes: Set<String> = []
            for await outcome in group { outcomes.insert(outcome) }
            return outcomes
        }
        #expect(outcomes == ["2"])
        let waiting = Task { await channel.next(after: 2) }
        waiting.cancel()
        guard case .cancelled = await waiting.value else {
            Issue.record("still waiting")
            return
        }
    }

    @Test func beatsWhenNothingHappens() async throws {
        let channel = StreamChannel(window: .day, epoch: "e")
        channel.publish(document("[1]"))
        let waiting = Task { await channel.next(after: 1) }
        let isBeaten = Atomic(false)
        let beating = Task {
            while !isBeaten.load(ordering: .acquiring) {
                channel.beat()
                await Task.yield()
            }
        }
        guard case .heartbeat = await waiting.value else {
            Issue.record("no heartbeat")
            return
        }
        isBeaten.store(true, ordering: .releasing)
        await beating.value
    }

    @Test func windowsEndWithTheBucketThatIsNotOver() {
        let now = Timestamp("2026-05-04T10:20:30.5Z") ?? Timestamp(microseconds: 0)
        #expect(DashboardWindow.day.span(at: now).from.description == "2026-05-03T11:00:00.000000Z")
        #expect(DashboardWindow.day.span(at: now).to.description == "2026-05-04T11:00:00.000000Z")
        #expect(DashboardWindow.hour.span(at: now).from.description == "2026-05-04T09:21:00.000000Z")
        #expect(DashboardWindow.month.span(at: now).from.description == "2026-04-05T00:00:00.000000Z")
        let exactly = Timestamp("2026-05-04T10:00:00Z") ?? now
        #expect(DashboardWindow.day.span(at: exactly).to.description == "2026-05-04T11:00:00.000000Z")
    }

    @Test func quantilesComeFromTheBins() {
        var histogram = DurationHistogram()
        #expect(histogram.quantile(percent: 50) == 0)
        histogram.append(atLeastMs: 10, belowMs: 11, orders: 50)
        histogram.append(atLeastMs: 1_024, belowMs: 1_088, orders: 45)
        histogram.append(atLeastMs: 4_096, belowMs: 4_352, orders: 5)
        #expect(histogram.quantile(percent: 50) == 10)
        #expect(histogram.quantile(percent: 51) == 1_055)
        #expect(histogram.quantile(percent: 95) == 1_055)
        #expect(histogram.quantile(percent: 96) == 4_223)
    }
}
