import Foundation
import OrderShop
import Postgres
import Synchronization
import TestKit
import Testing
import Verification

/// Runs `verify` while all daemons run. Its verdict is correct at any moment, and it finds and names every damage.
@Suite struct VerificationTests {
    @Test func underLoadTheVerdictIsAlwaysEqual() async throws {
        try await Pipeline.with { pipeline in
            let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.dashboard()]
            let isEnough = Atomic(false)
            async let load: Void = Self.play(pipeline, until: isEnough)
            defer { isEnough.store(true, ordering: .releasing) }
            for _ in 1...3 {
                // Verify immediately; then without the topics' history, with time for the events under way to arrive.
                let atOnce = try await pipeline.verdict()
                #expect(atOnce.method == .events)
                #expect(atOnce.isEqual, "\(atOnce)")
                let byTables = try await pipeline.verdict(waitingUpTo: DeadlinePassed.limit) {
                    $0.incompleteHistory = "not asked for"
                }
                #expect(byTables.method == .writeModel(because: "not asked for"))
                #expect(byTables.isEqual, "\(byTables)")
            }
            isEnough.store(true, ordering: .releasing)
            try await load
            let orders = Int(try await pipeline.number("SELECT count(*) FROM orders"))
            try await pipeline.expectEverythingArrives()
            try await pipeline.expectTheDashboardIsExact()
            // Divide the orders into a few ranges. The topics are read once for each range.
            let inRanges = try await pipeline.verdict { $0.ordersInMemory = orders / 3 }
            #expect(inRanges.isEqual, "\(inRanges)")
            #expect(inRanges["order_summary"]?.checked == orders)
            #expect(inRanges["topics"]?.checked == orders)
            for daemon in daemons { try await daemon.stop() }
        }
    }

    private static func play(_ pipeline: Pipeline, until isEnough: borrowing Atomic<Bool>) async throws {
        var seed: UInt64 = 21
        while !isEnough.load(ordering: .acquiring) {
            try await pipeline.play(orders: 100, seed: seed)
            seed += 1
        }
    }

    @Test func damagedRowsAreNamed() async throws {
        try await Pipeline.with { pipeline in
            let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.dashboard()]
            try await pipeline.play(orders: 40, seed: 22)
            try await pipeline.expectEverythingArrives()
            try await pipeline.execute(
                """
                UPDATE order_summary_rows SET total_amount = total_amount + 0.01
                WHERE order_id = (SELECT min(order_id) FROM orders);
                DELETE FROM order_summary_rows WHERE order_id = (SELECT max(order_id) FROM orders);
                UPDATE dashboard_status_rows SET orders = orders + 1
                WHERE (status, lane) = (SELECT status, lane FROM dashboard_status_rows ORDER BY 1, 2 LIMIT 1)
                """)
            let orders = try await pipeline.texts("SELECT unnest(ARRAY[min(order_id), max(order_id)]) FROM orders")
            for incomplete in [nil, "not asked for"] {
                let verdict = try await pipeline.verdict(waitingUpTo: .seconds(30)) {
                    $0.incompleteHistory = incomplete
                }
                #expect(verdict.decision == .different)
                let summary = try #require(verdict["order_summary"])
                #expect(summary.differing == 2)
                #expect(summary.differences.map(\.subject) == orders)
                guard case .column("total_amount", _, _) = summary.differences.first?.problem else {
                    Issue.record("\(summary)")
                    continue
                }
                #expect(summary.differences.last?.problem == .missing)
                // A row with one wrong number is one difference.
                #expect(verdict["dashboard_statuses"]?.differing == 1)
                #expect(verdict["dashboard_statuses"]?.differences.count == 1)
            }
            for daemon in daemons { try await daemon.stop() }
        }
    }

    /// Somebody deletes a row from the outbox before the relay has published it.
    @Test func anEventThatIsLostOnItsWayIsNamed() async throws {
        try await Pipeline.with { pipeline in
            let projection = try pipeline.projection()
            try await pipeline.play(orders: 30, seed: 23)
            let lost = try await pipeline.texts(
                """
                DELETE FROM outbox WHERE id = (
                    SELECT max(id) FROM outbox WHERE event_type = 'OrderConfirmed')
                RETURNING aggregate_id || ' ' || sequence
                """)
            let place = try #require(lost.first).split(separator: " ")
            let expected = Verdict.Difference(
                subject: String(place[0]), problem: .lostEvent("event \(place[1]) of order \(place[0])"))
            // No event is published yet, so all other events are under way.
            let early = try await pipeline.verdict()
            #expect(early["topics"]?.differences == [expected])
            #expect(early.underWay.unpublished > 0)
            let relay = try pipeline.relay()
            let verdict = try await pipeline.verdict(waitingUpTo: DeadlinePassed.limit)
            #expect(verdict["topics"]?.differences == [expected])
            #expect(verdict["topics"]?.differing == 1)
            // The read model agrees with the events. Only the write model shows that one event is lost.
            #expect(verdict["order_summary"]?.differing == 0)
            let byTables = try await pipeline.verdict(waitingUpTo: DeadlinePassed.limit) {
                $0.incompleteHistory = "not asked for"
            }
            #expect(byTables["order_summary"]?.differing == 1)
            #expect(Set(byTables["order_summary"]?.differences.map(\.subject) ?? []) == [String(place[0])])
            for daemon in [projection, relay] { try await daemon.stop() }
        }
    }

    /// Records after the beginning of an open transaction are in the topic, but no consumer can read them.
    @Test(.disabled(if: TestKafka.isMock, "the mock hands out records of open transactions"))
    func whatAnOpenTransactionHidesIsNotLost() async throws {
        try await Pipeline.with { pipeline in
            let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.dashboard()]
            let foreign = Transaction(pipeline.kafka, topic: Pipeline.topics(pipeline.topicSuffix)[0])
            try await foreign.held([([1], [1])], .abort) {
                try await pipeline.play(orders: 40, seed: 26)
                try await eventually { try await pipeline.number("SELECT count(*) FROM outbox") == 0 }
                for incomplete in [nil, "not asked for"] {
                    let verdict = try await pipeline.verdict { $0.incompleteHistory = incomplete }
                    #expect(verdict.decision == .undecided, "\(verdict)")
                    let comparison = try #require(verdict.comparisons.first)
                    #expect(comparison.differing == 0)
                    #expect(comparison.leftOut > 0)
                    #expect(comparison.undecided?.contains("an open transaction hides the records of") == true)
                }
            }
            try await pipeline.expectEverythingArrives()
            for daemon in daemons { try await daemon.stop() }
        }
    }

    @Test func parkedEventsAreComparedWithout() async throws {
        try await Pipeline.with { pipeline in
            try await pipeline.execute(
                """
                ALTER TABLE order_summary_rows ADD CONSTRAINT poison CHECK (hashtext(order_id) % 20 <> 0) NOT VALID
                """)
            let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.dashboard()]
            try await pipeline.play(orders: 100, seed: 24)
            try await eventually { try await pipeline.isEverythingPassed() }
            let parked = try await pipeline.number("SELECT count(*) FROM parked_events")
            #expect(parked > 0)
            let verdict = try await pipeline.verdict(waitingUpTo: .seconds(30))
            #expect(verdict.isEqual, "\(verdict)")
            let summary = try #require(verdict.underWay.projections.first { $0.name == "order-summary" })
            #expect(summary.parked == Int(parked))
            #expect(!verdict.underWay.isNothing)
            let byTables = try await pipeline.verdict(waitingUpTo: .seconds(30)) {
                $0.incompleteHistory = "not asked for"
            }
            #expect(byTables.isEqual, "\(byTables)")
            #expect(byTables["order_summary"]?.leftOut ?? 0 > 0)
            for daemon in daemons { try await daemon.stop() }
        }
    }

    /// Runs the command itself under load, in both output formats.
    @Test func theCommandSaysItInOneDocument() async throws {
        try await Pipeline.with { pipeline in
            let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.dashboard()]
            async let load: Void = pipeline.play(orders: 300, seed: 25)
            try await eventually { try await pipeline.number("SELECT count(*) FROM order_summary") > 0 }
            let text = try pipeline.verifyCommand("--wait", "60s")
            #expect(try await text.exitCode() == 0, "\(text.output) \(text.errors)")
            #expect(text.output.hasPrefix("equal: "))
            try await load
            try await pipeline.expectEverythingArrives()
            try await pipeline.execute("UPDATE dashboard_customer_rows SET orders = orders + 1 WHERE lane = 0")
            let json = try pipeline.verifyCommand("--wait", "60s", "--output", "json", "--examples", "1000")
            #expect(try await json.exitCode() == 1, "\(json.errors)")
            let document = try #require(
                try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
            #expect(document["verdict"] as? String == "different")
            let comparisons = try #require(document["comparisons"] as? [[String: Any]])
            let customers = try #require(comparisons.first { $0["name"] as? String == "dashboard_customers" })
            let differences = try #require(customers["differences"] as? [[String: Any]])
            #expect(!differences.isEmpty)
            let subjects = differences.compactMap { $0["subject"] as? String }
            #expect(Set(subjects).count == subjects.count, "a row is named twice")
            #expect(differences.allSatisfy { $0["column"] as? String == "orders" })
            for daemon in daemons { try await daemon.stop() }
        }
    }
}
