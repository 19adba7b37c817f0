import Foundation
import Glibc
import Kafka
import Postgres
import StreamCore
import TestKit
import Testing

/// Tests a new version of a projection in SQL next to the running one, with daemons and an operator's commands.
@Suite struct FolderRebuildTests {
    /// Runs two daemons, one for each version. Orders are played and queries are sent during the whole test.
    @Test func aNewVersionTakesTheLiveOnesPlaceAndNobodyNotices() async throws {
        try await StatsFolders.with { pipeline, folders in
            let relay = try pipeline.relay()
            let first = try pipeline.sqlProjection(folders.write(version: 1))
            try await pipeline.play(orders: 60)
            try await folders.expectArrival(version: 1, in: pipeline)
            let service = try pipeline.queryService(["sql_queries.folders": folders.queries])
            let questions = try await FolderQuestions(service, folders.name)
            async let asking = questions.ask()
            #expect(try await questions.one().contains("\"has_average\":false"))
            async let playing: Void = pipeline.play(orders: 150, seed: 2)

            let next = try folders.write(version: 2)
            let second = try pipeline.sqlProjection(next)
            try await eventually { try await folders.status(pipeline).contains("caught up") }
            // The version is selected by its name. The command writes the files that the database keeps for it.
            let shown = next + "-shown"
            _ = try await pipeline.databaseCommand("projection", "show", folders.name, "--version", "2", "--to", shown)
            for file in ["projection.toml", "schema.sql", "ItemAdded.sql"] {
                let (kept, own) = (try text(shown, file), try text(next, file))
                #expect(kept == own && !own.isEmpty, "\(file)")
            }
            let promote = try pipeline.command("rebuild", "promote", folders.name)
            #expect(try await promote.exitCode() == 0, "\(promote.output) \(promote.errors)")
            #expect(promote.errors.contains("matches the events"))
            // The change takes effect immediately and without a restart.
            #expect(try await questions.one().contains("\"has_average\":true"))
            try await first.waitForLog("version 1 was superseded: version 2 is live")
            _ = try await pipeline.databaseCommand("rebuild", "retire", folders.name)
            #expect(try await questions.one().contains("\"has_average\":true"))
            try await playing
            // From here on only the second daemon updates the read model.
            try await pipeline.play(orders: 30, seed: 3)
            try await folders.expectArrival(version: 2, in: pipeline)
            questions.end()
            let asked = try await asking
            #expect(asked.count > 20 && asked.failures.isEmpty, "\(asked)")

            // The command alone fills one more version, for comparison.
            let last = try folders.write(version: 3)
            let fill = try pipeline.command("rebuild", "start", "--projection", last, "--until-caught-up")
            #expect(try await fill.exitCode() == 0, "\(fill.errors)")
            try await folders.expectEqual(2, 3, in: pipeline)
            for daemon in [relay, first, second, service] { try await daemon.stop() }
        }
    }

    private func text(_ folder: String, _ file: String) throws -> String {
        try String(contentsOfFile: folder + "/" + file, encoding: .utf8)
    }

    /// The command is killed repeatedly: while it creates and fills the version, and while it verifies and promotes it.
    @Test func aKillOfTheFillingCommandLosesNothing() async throws {
        try await StatsFolders.with { pipeline, folders in
            let relay = try pipeline.relay()
            let first = try pipeline.sqlProjection(folders.write(version: 1))
            try await pipeline.play(orders: 200)
            try await folders.expectArrival(version: 1, in: pipeline)
            let next = try folders.write(version: 2)
            func start() throws -> Executable {
                try pipeline.command("rebuild", "start", "--projection", next, "--max-rate", "500")
            }
            let produced = try await pipeline.records(of: "order")
            try start().signal(SIGKILL)
            for part in [Int64(0), 10, 40, 70] {
                let filling = try start()
                try await eventually { try await folders.passed(2, in: pipeline) * 100 >= produced * part }
                filling.signal(SIGKILL)
                _ = try await filling.exitCode()
            }
            let filling = try start()
            try await eventually { try await folders.passed(2, in: pipeline) == produced }
            let verifying = try pipeline.command("rebuild", "promote", "--projection", next)
            try await eventually {
                try await pipeline.number(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace-rebuild'") > 0
            }
            verifying.signal(SIGKILL)
            _ = try await verifying.exitCode()
            let promote = try pipeline.command("rebuild", "promote", "--projection", next)
            #expect(try await promote.exitCode() == 0, "\(promote.errors)")
            #expect(try await filling.exitCode() == 0, "\(filling.errors)")
            try await folders.expectEqual(1, 2, in: pipeline)
            // The rows that the killed verification left are removed too.
            #expect(try await pipeline.number("SELECT count(*) FROM sql_projection_replays") == 0)
            for daemon in [relay, first] { try await daemon.stop() }
        }
    }

    /// A version that differs from the events is not promoted, and an abort drops it. Neither changes the live version.
    @Test func aVersionThatDiffersIsRefusedAndDropped() async throws {
        try await StatsFolders.with { pipeline, folders in
            let relay = try pipeline.relay()
            let first = try pipeline.sqlProjection(folders.write(version: 1))
            try await pipeline.play(orders: 20)
            try await folders.expectArrival(version: 1, in: pipeline)
            let next = try folders.write(version: 2)
            let second = try pipeline.sqlProjection(next)
            try await eventually { try await folders.status(pipeline).contains("caught up") }
            try await pipeline.execute("UPDATE \(folders.schema)_v2.product_stats SET units = units + 1")

            let promote = try pipeline.command("rebuild", "promote", "--projection", next)
            #expect(try await promote.exitCode() == 1)
            #expect(promote.errors.contains("did not find version 2 of \(folders.name) equal"), "\(promote.errors)")
            #expect(promote.errors.contains("product_stats:") && promote.errors.contains("  + ("))
            let verify = try pipeline.serverCommand(["projection", "verify", next])
            #expect(try await verify.exitCode() == 1 && verify.output.contains("product_stats:"), "\(verify.errors)")
            let live = try pipeline.serverCommand(["projection", "verify", folders.path(version: 1)])
            #expect(try await live.exitCode() == 0, "\(live.output) \(live.errors)")
            // The versions are selected by their names. The command uses the files that the database keeps.
            let named = try pipeline.command("rebuild", "promote", folders.name)
            #expect(try await named.exitCode() == 1 && named.errors.contains("product_stats:"), "\(named.errors)")
            let building = try pipeline.serverCommand(["projection", "verify", folders.name, "--version", "2"])
            #expect(try await building.exitCode() == 1, "\(building.errors)")
            #expect(building.output.contains("product_stats:"))
            let kept = try pipeline.serverCommand(["projection", "verify", folders.name])
            #expect(try await kept.exitCode() == 0, "\(kept.output) \(kept.errors)")
            let absent = try pipeline.serverCommand(["projection", "verify", folders.name, "--version", "7"])
            #expect(try await absent.exitCode() == 78 && absent.errors.contains("does not have the files"))
            #expect(try await folders.states(pipeline) == ["1 live", "2 building"])
            try await expectOneReport(of: folders, next, pipeline)

            _ = try await pipeline.databaseCommand("rebuild", "abort", folders.name)
            try await second.waitForLog("version 2 was aborted")
            #expect(try await folders.states(pipeline) == ["1 live"])
            #expect(
                try await pipeline.texts(
                    "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, '\(folders.schema)') ORDER BY 1")
                    == [folders.schema, folders.schema + "_v1"])
            try await pipeline.play(orders: 10, seed: 2)
            try await folders.expectArrival(version: 1, in: pipeline)
            for daemon in [relay, first, second] { try await daemon.stop() }
        }
    }

    /// Runs `millrace verify`. The live version is correct, and the other version is not.
    private func expectOneReport(of folders: StatsFolders, _ next: String, _ pipeline: Pipeline) async throws {
        let projection = try pipeline.projection()
        let live = try pipeline.verifyCommand("--wait", "120s")
        #expect(try await live.exitCode() == 0, "\(live.output) \(live.errors)")
        #expect(live.output.hasPrefix("equal: ") && live.output.contains("order_summary: compared 20, differing 0"))
        #expect(live.output.contains("\n\(folders.schema)_v1 counted_orders: compared "), "\(live.output)")
        #expect(!live.output.contains("\(folders.schema)_v2"))
        let without = try pipeline.verifyCommand("--built-in")
        #expect(try await without.exitCode() == 0 && !without.output.contains(folders.schema))

        let both = try pipeline.verifyCommand(
            "--projection", folders.path(version: 1), "--projection", next, "--output", "json")
        #expect(try await both.exitCode() == 1, "\(both.output) \(both.errors)")
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(both.output.utf8)) as? [String: Any])
        let comparisons = try #require(document["comparisons"] as? [[String: Any]])
        func differing(_ table: String) throws -> Int {
            try #require(comparisons.first { $0["name"] as? String == table }?["differing"] as? Int, "\(table)")
        }
        #expect(try differing("\(folders.schema)_v1 product_stats") == 0)
        let wrong = try differing("\(folders.schema)_v2 product_stats")
        let rows = try await pipeline.number("SELECT count(*) FROM \(folders.schema)_v2.product_stats")
        // Each row counts twice: the correct one is missing, and a wrong one is present.
        #expect(wrong == Int(rows) * 2)

        // Without the files of a version, the database cannot tell what its rows should be.
        try await pipeline.execute("DELETE FROM sql_projection_files WHERE version = 1")
        let undecided = try pipeline.verifyCommand()
        #expect(try await undecided.exitCode() == 2, "\(undecided.output) \(undecided.errors)")
        #expect(undecided.output.contains("\(folders.name)@1: not compared: the database does not have the files"))
        try await projection.stop()
    }

    /// The live version parks events that it cannot apply. The version that is built stops at such an event and logs
    /// the reason.
    @Test func aVersionThatIsBuiltFailsOnABadEvent() async throws {
        try await StatsFolders.with { pipeline, folders in
            let relay = try pipeline.relay()
            let first = try pipeline.sqlProjection(folders.write(version: 1))
            try await pipeline.play(orders: 10)
            try await folders.expectArrival(version: 1, in: pipeline)
            let producer = try Producer(pipeline.kafka) { _ in }
            _ = try await producer.send(
                topic: "order\(pipeline.topicSuffix)", key: Array("bad".utf8), value: Array("{".utf8))
            await producer.close(timeoutMs: 5_000)
            try await folders.expectArrival(version: 1, in: pipeline)
            #expect(try await pipeline.number("SELECT count(*) FROM parked_events") == 1)

            let next = try folders.write(version: 2)
            let second = try pipeline.sqlProjection(next)
            try await second.waitForLog("invalid_json")
            try await second.stop()
            let fill = try pipeline.command("rebuild", "start", "--projection", next, "--until-caught-up")
            #expect(try await fill.exitCode() == 1 && fill.errors.contains("cannot be applied"), "\(fill.errors)")
            #expect(try await pipeline.number("SELECT count(*) FROM parked_events") == 1)
            #expect(try await folders.states(pipeline) == ["1 live", "2 building"])

            // The consumer is paused like any other.
            _ = try await pipeline.databaseCommand("pause", folders.name, "--reason", "a test", "--as", "tests")
            try await first.waitForLog("the consumer is paused")
            _ = try await pipeline.databaseCommand("resume", folders.name)
            _ = try await pipeline.databaseCommand("pause", "nobody", "--reason", "a test", "--as", "tests", code: 1)
            try await pipeline.play(orders: 5, seed: 2)
            try await folders.expectArrival(version: 1, in: pipeline)
            for daemon in [relay, first] { try await daemon.stop() }
        }
    }
}

/// Copies of the example `product-stats`, with a name and topics that only this test uses.
private struct StatsFolders {
    let name: String
    let place: URL
    let pipeline: Pipeline

    var schema: String { name.replacing("-", with: "_") }

    static func with(_ body: (Pipeline, StatsFolders) async throws -> Void) async throws {
        try await Pipeline.with { pipeline in
            let name = "stats-" + String(UInt64.random(in: .min ... .max), radix: 36)
            let place = FileManager.default.temporaryDirectory.appending(path: "millrace-\(name)")
            let folders = StatsFolders(name: name, place: place, pipeline: pipeline)
            let result: Result<Void, any Error>
            do {
                try await TestKafka.withTopics(named: ["dlq.\(name)", "retry.\(name)"], partitions: 1) {
                    try await body(pipeline, folders)
                }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            try? FileManager.default.removeItem(at: place)
            try await folders.clean()
            try result.get()
        }
    }

    /// Removes what the versions created. Its names come from the projection's name, not from the test's schema.
    private func clean() async throws {
        try await pipeline.execute(
            """
            DO $$
            DECLARE
                name text;
            BEGIN
                FOR name IN SELECT nspname FROM pg_namespace WHERE starts_with(nspname, '\(schema)') LOOP
                    EXECUTE format('DROP SCHEMA %I CASCADE', name);
                END LOOP;
                FOR name IN SELECT rolname FROM pg_roles WHERE starts_with(rolname, '\(schema)') LOOP
                    EXECUTE format('DROP ROLE %I', name);
                END LOOP;
            END
            $$
            """)
    }

    func path(version: Int) -> String { place.appending(path: "v\(version)").path }

    /// Writes the folder of a version. Versions after the first have one additional column in the middle.
    func write(version: Int) throws -> String {
        let source = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "projections/product-stats")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        let folder = URL(filePath: path(version: version))
        try FileManager.default.copyItem(at: source, to: folder)
        try change("projection.toml", in: folder) {
            $0.replacing("\"product-stats\"", with: "\"\(name)\"")
                .replacing("version = 1", with: "version = \(version)")
                .replacing("order-events", with: "order\(pipeline.topicSuffix)")
        }
        if version > 1 {
            try change("schema.sql", in: folder) {
                $0.replacing(
                    "    purchases bigint NOT NULL,",
                    with: "    average numeric GENERATED ALWAYS AS (revenue / nullif(units, 0)) STORED,\n"
                        + "    purchases bigint NOT NULL,")
            }
        }
        return folder.path
    }

    private func change(_ file: String, in folder: URL, _ change: (String) -> String) throws {
        let file = folder.appending(path: file)
        let text = try String(contentsOf: file, encoding: .utf8)
        let changed = change(text)
        #expect(changed != text)
        try changed.write(to: file, atomically: true, encoding: .utf8)
    }

    /// A folder with a query that every version can answer.
    var queries: String {
        get throws {
            let folder = place.appending(path: "queries")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let text = """
                -- @reads \(name)
                -- @order product_id, currency
                -- @limit default=5 max=100
                SELECT product_id, currency, units, to_jsonb(s) ? 'average' AS has_average FROM product_stats AS s
                """
            try text.write(to: folder.appending(path: "\(name).sql"), atomically: true, encoding: .utf8)
            return folder.path
        }
    }

    func status(_ pipeline: Pipeline) async throws -> String {
        try await pipeline.databaseCommand("rebuild", "status", name).output
    }

    func states(_ pipeline: Pipeline) async throws -> [String] {
        try await pipeline.texts(
            "SELECT concat_ws(' ', version, state) FROM projection_versions WHERE name = '\(name)' ORDER BY 1")
    }

    /// The number of records that a version has passed; -1 if the version does not exist.
    func passed(_ version: Int, in pipeline: Pipeline) async throws -> Int64 {
        try await pipeline.number(
            """
            SELECT coalesce(sum(o.next_offset), -1) FROM projections AS p
            JOIN projection_offsets AS o ON o.projection_id = p.id
            WHERE p.name = '\(name)' AND p.version = \(version) AND o.topic = 'order\(pipeline.topicSuffix)'
            """)
    }

    func expectArrival(version: Int, in pipeline: Pipeline) async throws {
        try await eventually {
            guard try await pipeline.number("SELECT count(*) FROM outbox") == 0 else { return false }
            return try await passed(version, in: pipeline) == pipeline.records(of: "order")
        }
    }

    /// Compares the columns that both versions have.
    func expectEqual(_ first: Int, _ second: Int, in pipeline: Pipeline) async throws {
        for (table, columns) in [
            ("product_stats", "product_id, currency, name, purchases, units, revenue, last_sold_at"),
            ("order_lines", "order_id, product_id, sequence, name, quantity, unit_price, currency"),
            ("counted_orders", "order_id, is_cancelled"),
        ] {
            func rows(_ version: Int) -> String { "SELECT \(columns) FROM \(schema)_v\(version).\(table)" }
            #expect(try await pipeline.number("SELECT count(*) FROM \(schema)_v\(first).\(table)") > 0)
            let differing = """
                SELECT count(*) FROM (
                    (\(rows(first)) EXCEPT ALL \(rows(second))) UNION ALL (\(rows(second)) EXCEPT ALL \(rows(first)))
                ) AS d
                """
            #expect(try await pipeline.number(differing) == 0, "\(table)")
        }
    }
}

extension Pipeline {
    fileprivate func sqlProjection(_ folder: String) throws -> Executable {
        try daemon(
            "sql-projection",
            [
                "sql_projections.folders": folder, "projection.service": "test" + topicSuffix,
                "projection.batch_max_records": "50",
            ])
    }

    /// The number of records that were ever written to one of the topics.
    fileprivate func records(of aggregate: String) async throws -> Int64 {
        let partitions = (0..<Self.partitions).map { TopicPartition(topic: aggregate + topicSuffix, partition: $0) }
        return try await KafkaAdmin(kafka).watermarks(of: partitions).values.reduce(0) { $0 + $1.high }
    }
}
