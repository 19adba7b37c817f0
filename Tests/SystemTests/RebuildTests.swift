import Events
import Foundation
import FoundationNetworking
import Glibc
import Kafka
import Orders
import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing
import Verification

/// Tests rebuilds of read models by an operator's commands while the daemons run.
@Suite struct RebuildTests {
    /// Starts a rebuild of a projection and waits until it has caught up.
    private func buildToTheEnd(_ name: String, _ pipeline: Pipeline) async throws {
        let start = try pipeline.command("rebuild", "start", name, "--until-caught-up")
        let code = try await start.exitCode()
        #expect(code == 0, "\(code): \(start.output) \(start.errors)")
    }

    private func promote(_ name: String, _ pipeline: Pipeline) async throws {
        let command = try pipeline.command("rebuild", "promote", name)
        let code = try await command.exitCode()
        #expect(code == 0, "\(code): \(command.output) \(command.errors)")
    }

    /// Rebuilds and promotes both read models. Orders are played and queries are sent during the whole test.
    @Test func aRebuildTakesTheLiveVersionsPlaceAndNobodyNotices() async throws {
        try await Pipeline.with { pipeline in
            let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.dashboard()]
            let service = try pipeline.queryService()
            try await pipeline.play(orders: 60)
            try await pipeline.expectEverythingArrives()
            let questions = try await Questions(service)
            async let asking = questions.ask()
            async let playing: Void = pipeline.play(orders: 150, seed: 2)

            for name in ["order-summary", "dashboard"] {
                let filling = try pipeline.command("rebuild", "start", name)
                try await eventually {
                    try await pipeline.databaseCommand("rebuild", "status", name).output.contains("caught up")
                }
                try await promote(name, pipeline)
                #expect(try await filling.exitCode() == 0, "\(filling.errors)")
                #expect(filling.output.contains("is live"))
            }
            try await playing
            // From here on the daemons update only the new versions.
            try await pipeline.play(orders: 30, seed: 3)
            try await pipeline.expectEverythingArrives()
            try await pipeline.expectTheDashboardIsExact()
            for name in ["order-summary", "dashboard"] {
                _ = try await pipeline.databaseCommand("rebuild", "retire", name)
            }
            try await pipeline.expectEverythingArrives()
            questions.end()
            let asked = try await asking
            #expect(asked.count > 20 && asked.failures.isEmpty, "\(asked)")
            let schemas = try await pipeline.texts(
                """
                SELECT nspname::text FROM pg_namespace
                WHERE starts_with(nspname, '\(pipeline.postgres.schema)_') ORDER BY 1
                """)
            #expect(schemas.map { $0.suffix(3) } == ["_v2", "_v2"])
            for daemon in daemons + [service] { try await daemon.stop() }
        }
    }

    /// The command is killed repeatedly: while it creates and fills the version, and while it promotes it.
    @Test func aKillAtAnyStepLosesNothing() async throws {
        try await Pipeline.with { pipeline in
            let daemons = try [pipeline.relay(), pipeline.projection()]
            try await pipeline.play(orders: 200)
            try await pipeline.expectEverythingArrives()
            let produced = try await pipeline.recordsProduced()
            // Kill it before it has done anything, and when the version is filled to each of these percentages.
            try start(pipeline).signal(SIGKILL)
            for part in [Int64(0), 1, 10, 25, 50, 75, 100] {
                let start = try start(pipeline)
                try await eventually { try await passed(pipeline) * 100 >= produced * part }
                start.signal(SIGKILL)
                _ = try await start.exitCode()
            }
            #expect(try await pipeline.number("SELECT count(*) FROM projection_versions WHERE version > 2") == 0)
            let filling = try start(pipeline)
            // Kill it before it has done anything, while it verifies, and when it is about to promote.
            try pipeline.command("rebuild", "promote", "order-summary").signal(SIGKILL)
            let verifying = try pipeline.command("rebuild", "promote", "order-summary")
            try await eventually {
                try await pipeline.number(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace-rebuild'") > 0
            }
            verifying.signal(SIGKILL)
            let verified = try pipeline.command("rebuild", "promote", "order-summary")
            try await verified.waitForLog("matches the events")
            verified.signal(SIGKILL)
            _ = try await verified.exitCode()
            let promoted = try await pipeline.number(
                "SELECT count(*) FROM projection_versions WHERE version = 2 AND state = 'live'")
            if promoted == 0 { try await promote("order-summary", pipeline) }
            #expect(try await filling.exitCode() == 0, "\(filling.errors)")
            try await pipeline.play(orders: 20, seed: 2)
            try await pipeline.expectEverythingArrives()
            _ = try await pipeline.databaseCommand("rebuild", "retire", "order-summary")
            for daemon in daemons { try await daemon.stop() }
        }
    }

    /// The rate limit makes the command slow enough to be killed while it runs.
    private func start(_ pipeline: Pipeline) throws -> Executable {
        try pipeline.command("rebuild", "start", "order-summary", "--max-rate", "1000")
    }

    /// The number of records that the second version has passed; -1 if the version does not exist.
    private func passed(_ pipeline: Pipeline) async throws -> Int64 {
        try await pipeline.number(
            """
            SELECT coalesce(sum(o.next_offset), -1) FROM projection_versions AS v JOIN projections AS p USING (name, version)
            JOIN projection_offsets AS o ON o.projection_id = p.id WHERE v.version = 2
            """)
    }

    /// Three records that cannot be decoded. An operator has discarded one and corrected another one, and has decided
    /// nothing about the third.
    @Test func whatOperatorsDecidedStaysSo() async throws {
        try await Pipeline.with { pipeline in
            let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.handler()]
            try await pipeline.play(orders: 20)
            try await pipeline.expectEverythingArrives()
            let producer = try Producer(pipeline.kafka) { _ in }
            for key in ["discarded", "corrected"] {
                _ = try await producer.send(
                    topic: "order\(pipeline.topicSuffix)", key: Array(key.utf8), value: Array("{".utf8))
            }
            try await letters(2, in: pipeline)
            try await decide(pipeline)

            try await buildToTheEnd("order-summary", pipeline)
            try await promote("order-summary", pipeline)
            let rows = try await seen(pipeline)
            #expect(rows == ["by hand"])
            // The next rebuild reaches an event about which no operator has decided.
            _ = try await producer.send(
                topic: "order\(pipeline.topicSuffix)", key: Array("open".utf8), value: Array("{".utf8))
            await producer.close(timeoutMs: 5_000)
            try await eventually {
                try await pipeline.number(
                    """
                    SELECT count(*) FROM dead_letters
                    WHERE state = 'pending' AND consumer_group LIKE '%.v2' AND convert_from(key, 'UTF8') = 'open'
                    """) == 1
            }
            let start = try pipeline.command("rebuild", "start", "order-summary", "--until-caught-up")
            #expect(try await start.exitCode() == 1, "\(start.errors)")
            #expect(start.errors.contains("cannot be applied") && start.errors.contains("invalid_json"))
            #expect(
                try await pipeline.number("SELECT count(*) FROM dead_letters WHERE consumer_group LIKE '%.v3'") == 0)
            _ = try await pipeline.databaseCommand("rebuild", "abort", "order-summary")
            // A letter that the first version wrote when it was no longer live is closed together with that version.
            _ = try await pipeline.databaseCommand("rebuild", "retire", "order-summary")
            #expect(
                try await pipeline.number(
                    "SELECT count(*) FROM dead_letters WHERE state = 'pending' AND consumer_group LIKE '%.v1'") == 0)
            #expect(try await seen(pipeline) == ["by hand"])
            for daemon in daemons { try await daemon.stop() }
        }
    }

    /// The cancellation reasons of the three orders in the live version, which come from the corrected event.
    private func seen(_ pipeline: Pipeline) async throws -> [String] {
        let connection = try await PostgresConnection.connect(pipeline.live)
        let rows = try await connection.execute(
            "SELECT cancellation_reason FROM order_summary WHERE order_id IN ('discarded', 'corrected', 'open')")
        await connection.close()
        return try (0..<rows.rowCount).map { try rows.string($0, 0) }
    }

    private func letters(_ count: Int64, in pipeline: Pipeline) async throws {
        try await eventually { try await pipeline.number("SELECT count(*) FROM dead_letters") == count }
    }

    /// Discards one letter, and corrects and retries the other.
    private func decide(_ pipeline: Pipeline) async throws {
        func letter(_ key: String) async throws -> String {
            let ids = try await pipeline.texts(
                "SELECT letter_id::text FROM dead_letters WHERE convert_from(key, 'UTF8') = '\(key)'")
            return try #require(ids.first)
        }
        let event = OrderEvent(
            identity: EventIdentity(
                eventID: EventID(high: 7, low: 7), eventType: "OrderCancelled", aggregateType: "Order",
                aggregateID: "corrected", sequence: 1, timestamp: Timestamp(microseconds: 1_777_777_777_000_000)),
            payload: .orderCancelled(OrderCancelled(reason: "by hand", cancelledBy: "tests")))
        let file = FileManager.default.temporaryDirectory.appending(path: "corrected-\(UUID().uuidString).json")
        try Data(EventEncoder.envelope(event)).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let corrected = try await letter("corrected")
        _ = try await pipeline.deadLetters(
            "edit", corrected, "--value", file.path, "--execute", "--reason", "tests")
        _ = try await pipeline.deadLetters("retry", corrected, "--execute", "--reason", "tests")
        _ = try await pipeline.deadLetters(
            "discard", try await letter("discarded"), "--execute", "--reason", "tests")
        try await eventually {
            try await pipeline.texts(
                "SELECT (corrected_value IS NULL)::text FROM event_decisions ORDER BY 1") == ["false", "true"]
        }
    }

    /// A wrong row becomes correct, and the dashboard gets orders whose events it had missed.
    @Test func oneOrderIsMadeAnewAlone() async throws {
        try await Pipeline.with { pipeline in
            let daemons = try [pipeline.relay(), pipeline.projection()]
            let dashboard = try pipeline.dashboard()
            try await pipeline.play(orders: 20)
            try await pipeline.expectEverythingArrives()
            try await dashboard.stop()
            try await pipeline.play(orders: 3, seed: 5)
            try await pipeline.expectSummaryArrives()
            let ids = try await pipeline.texts(
                "SELECT order_id FROM orders WHERE order_id NOT IN (SELECT order_id FROM dashboard_order_rows)")
            #expect(ids.count == 3)
            let first = try #require(ids.first)
            try await pipeline.execute(
                """
                UPDATE order_summary_rows SET total_amount = 0, version = 99 WHERE order_id = '\(first)';
                UPDATE projection_offsets AS o
                SET next_offset = s.next_offset, mark_offset = s.mark_offset, mark_digest = s.mark_digest
                FROM projection_offsets AS s, projections AS p, projections AS q
                WHERE (p.id, p.name) = (o.projection_id, 'dashboard') AND (q.id, q.name) = (s.projection_id, 'order-summary')
                    AND (s.topic, s.partition) = (o.topic, o.partition)
                """)
            let different = try await pipeline.verdict()
            #expect(different["order_summary"]?.differing == 1 && different["dashboard_statuses"]?.differing ?? 0 > 0)
            try await renew(first, of: "order-summary", pipeline)
            for id in ids { try await renew(id, of: "dashboard", pipeline) }
            // Renewing an order a second time does not count it twice.
            try await renew(first, of: "dashboard", pipeline)
            try await pipeline.expectEverythingArrives()
            try await pipeline.expectTheDashboardIsExact()
            let unknown = try pipeline.command("rebuild", "start", "order-summary", "--aggregate", "nobody")
            #expect(try await unknown.exitCode() == 1)
            for daemon in daemons { try await daemon.stop() }
        }
    }

    private func renew(_ id: String, of name: String, _ pipeline: Pipeline) async throws {
        let command = try pipeline.command("rebuild", "start", name, "--aggregate", id)
        #expect(try await command.exitCode() == 0, "\(command.errors)")
        #expect(command.output.contains("rebuilt \(id) from "))
    }

    @Test func aPausedConsumerTakesNothingUntilItIsResumed() async throws {
        try await Pipeline.with { pipeline in
            let relay = try pipeline.relay()
            var projection = try pipeline.projection()
            try await pipeline.play(orders: 10)
            try await pipeline.expectEverythingArrives()
            _ = try await pipeline.databaseCommand(
                "pause", "order-summary", "--reason", "a test", "--as", "tests")
            try await projection.waitForLog("the consumer is paused")
            // A loop that does not run is not watched. Otherwise a supervisor would restart the process because the
            // loop makes no progress.
            let address = "http://127.0.0.1:\(try await projection.port())/health/"
            let live = try await text(address + "live")
            #expect(live.hasPrefix(#"{"status":"pass","#) && live.contains("version loop of order-summary"), "\(live)")
            #expect(!live.contains("projection loop"), "\(live)")
            let ready = try await text(address + "ready")
            #expect(ready.hasPrefix(#"{"status":"pass","#), "\(ready)")
            // The consumer stays paused after a restart.
            try await projection.stop()
            projection = try pipeline.projection()
            try await projection.waitForLog("the consumer is paused")
            let applied = try await pipeline.number("SELECT sum(next_offset) FROM projection_offsets")
            try await pipeline.play(orders: 10, seed: 2)
            try await eventually { try await pipeline.number("SELECT count(*) FROM outbox") == 0 }
            #expect(try await pipeline.number("SELECT sum(next_offset) FROM projection_offsets") == applied)
            let metrics = try await text("http://127.0.0.1:\(try await projection.port())/metrics")
            #expect(metrics.contains(#"millrace_projection_paused{projection="order-summary"} 1"#))
            _ = try await pipeline.databaseCommand("resume", "order-summary")
            try await pipeline.expectEverythingArrives()
            _ = try await pipeline.databaseCommand("resume", "order-summary", code: 1)
            try await projection.stop()
            try await relay.stop()
        }
    }

    private func text(_ url: String) async throws -> String {
        let (data, _) = try await URLSession.shared.data(from: try #require(URL(string: url)))
        return String(decoding: data, as: UTF8.self)
    }
}

/// Sends queries to a query service repeatedly until `end()` is called.
private final class Questions: Sendable {
    private let isOver = Mutex(false)
    private let urls: [URL]

    init(_ service: Executable) async throws {
        let text = "serving queries address="
        try await service.waitForLog(text)
        let line = service.errors.split(separator: "\n").first { $0.contains(text) }
        let port = try #require(line?.split(separator: ":").last.flatMap { Int($0) })
        urls = try ["/v1/orders?limit=5", "/v1/dashboard"].map {
            try #require(URL(string: "http://127.0.0.1:\(port)\($0)"))
        }
    }

    /// - Returns: the number of requests, and the responses with a status other than 200.
    func ask() async throws -> (count: Int, failures: [String]) {
        var count = 0
        var failures: [String] = []
        while !isOver.withLock({ $0 }) {
            let url = urls[count % urls.count]
            let (data, response) = try await URLSession.shared.data(for: URLRequest(url: url, timeoutInterval: 60))
            if (response as? HTTPURLResponse)?.statusCode != 200 {
                failures.append("\(url): \(String(decoding: data.prefix(200), as: UTF8.self))")
            }
            count += 1
        }
        return (count, failures)
    }

    func end() { isOver.withLock { $0 = true } }
}
