import ArgumentParser
import Catalog
import CommandSupport
import Foundation
import Inspection
import StreamCore
import TestKit
import Testing

@testable import OperatorCommands

@Suite struct InspectionCommandTests {
    private func row(lag: Int64?, removed: Int64 = 0) -> LagReport.Row {
        let partition = TopicPartition(topic: "t", partition: 0)
        var reading = LagReading(
            atMs: 10_000,
            positions: [
                .init(name: "orders", version: 2): [
                    partition: .init(next: 1_000, movedAtMs: nil, oldestUnreadMs: 7_000)
                ]
            ])
        if let lag { reading.ends = [partition: 1_000 + lag] }
        reading.beginnings = [partition: 1_000 + removed]
        var tracker = LagTracker()
        return tracker.report(reading).rows[0]
    }

    @Test func lagIsShownInColumns() {
        let report = LagReport(rows: [row(lag: 12_345)])
        #expect(
            LagView(report).table(warnRemovalSeconds: 60) == """
                CONSUMER   PARTITION  NEXT   LAG     BEHIND  READ/S  WRITTEN/S  CATCH UP  STATE
                orders v2  t[0]       1,000  12,345  3.0s    -       -          -         ok
                ok: 12,345 behind, 3.0s at most
                """)
        let json = JSONText.line(LagView(report))
        #expect(json.contains(#""lag":12345,"#) && json.contains(#""state":"ok""#) && json.contains(#""topic":"t""#))
        #expect(LagView(LagReport(rows: [])).table(warnRemovalSeconds: 0) == "no consumer has an offset")
        let removed = LagView(LagReport(rows: [row(lag: 9, removed: 4)])).table(warnRemovalSeconds: 0)
        #expect(removed.hasSuffix("orders v2 t[0]: 4 offsets were removed before they were read"))
    }

    @Test func aLimitIsRecordsOrATime() throws {
        let report = LagReport(rows: [row(lag: 10)])
        func problem(_ text: String) throws -> String? {
            let limit: LagCommand.Limit = try #require(LagCommand.Limit(argument: text))
            return LagCommand.problem([report, report], limit)
        }
        let problems = try ["10", "9", "3s", "2s"].map(problem)
        #expect(problems == [nil, "orders is behind in t[0]", nil, "orders is behind in t[0]"])
        #expect(LagCommand.problem([report], nil) == nil)
        #expect(
            LagCommand.problem([LagReport(rows: [row(lag: 1, removed: 2)])], nil)
                == "2 offsets were removed before they were read")
        let unknown = LagReport(rows: [row(lag: nil)])
        #expect(LagCommand.problem([unknown], .records(1_000)) != nil, "an unknown lag is a problem")
        // A short burst is not a problem.
        let quiet = LagReport(rows: [row(lag: 0)])
        #expect(LagCommand.problem([report, quiet], .records(5)) == nil)
        #expect(LagCommand.problem([quiet, report], .records(5)) == nil)
        // A named consumer without an offset is a problem, whatever the limit.
        #expect(LagCommand.problem([report, report], .records(10), of: ["orders"]) == nil)
        #expect(LagCommand.problem([report, report], .records(10), of: ["oders"]) == "oders has no offset")
        for text in ["", "-1", "x", "1.5"] { #expect(LagCommand.Limit(argument: text) == nil) }
    }

    @Test func findingsAreShownTheWorstFirstWithWhatToDo() {
        let findings = [
            Finding(.ok, "fine", check: "a"), Finding(.warning, "odd", remedy: "look", check: "outbox"),
            Finding(.critical, "bad\u{1B}", check: "b"),
        ]
        #expect(
            DoctorCommand.text(findings, all: false) == """
                critical  b       bad\\x1B
                warning   outbox  odd
                                  → look
                worst finding: critical; 1 of 3 findings are ok
                """)
        #expect(
            DoctorCommand.text([findings[0]], all: true) == "ok        a  fine\nno problems; 1 of 1 findings are ok")
        #expect(DoctorCommand.exitCode(findings) == ExitCode(2))
        #expect(DoctorCommand.exitCode(Array(findings.prefix(2))) == ExitCode(1))
        #expect(DoctorCommand.exitCode([findings[0], Finding(.note, "n")]) == nil)
        #expect(
            JSONText.line(findings[1]) == #"{"check":"outbox","finding":"odd","remedy":"look","severity":"warning"}"#)
    }

    @Test func connectedProgramsShareALine() {
        let connected = (1...3).map { Finding(.ok, "daemon-\($0): 2 connections", check: "programs") }
        let others = [Finding(.ok, "fine", check: "outbox"), Finding(.warning, "gone", check: "programs")]
        #expect(
            StatusCommand.withProgramsInOneLine(others + connected)
                == others + [Finding(.ok, "3 programs are connected", check: "programs")])
        #expect(StatusCommand.withProgramsInOneLine(others) == others)
    }

    private func expectations(_ sets: Set<String>, _ projections: [Installation.SQLProjection] = []) -> Expectations {
        Installation(appliedSets: sets, sqlProjections: projections).expectations(named: [], needing: [])
    }

    /// If the tables of all daemons exist, all daemons and their topics are expected.
    @Test func theTablesTellTheDaemons() {
        let expected = expectations(Set(Catalog.migrationSets))
        #expect(expected.migrationSets == Catalog.migrationSets.sorted())
        #expect(expected.optionalPrograms == ["sql-projection", "command-service", "order-process"])
        #expect(expected.programs == Catalog.daemons.map(\.name).filter { !expected.optionalPrograms.contains($0) })
        #expect(expected.eventTopics == Catalog.eventTopics && expected.letterTopics == Catalog.letterTopics)
        #expect(Catalog.programs["order-summary"] == "order-summary-projection")
    }

    @Test func withoutTheShopsTablesNothingOfTheShopIsExpected() {
        let sets: Set = ["outbox-debezium", "projections", "sql-projections", "dead-letters"]
        let own = Installation.SQLProjection(
            name: "parcels", topics: ["parcel-events"], letterTopics: ["dlq.parcels", "retry.parcels"], isInline: false)
        let expected = expectations(sets, [own])
        #expect(expected.migrationSets == sets.sorted())
        #expect(expected.programs == ["outbox-relay", "sql-projection", "dead-letter-handler", "query-service"])
        #expect(expected.optionalPrograms.isEmpty)
        #expect(expected.eventTopics == ["parcel-events"] && expected.letterTopics == ["dlq.parcels", "retry.parcels"])
        // Commands apply an inline projection. It has no dead letters.
        let inline = Installation.SQLProjection(
            name: "parcels", topics: ["parcel-events"], letterTopics: ["dlq.parcels"], isInline: true)
        let applied = expectations(sets.union(["outbox", "commands"]), [inline])
        #expect(applied.optionalPrograms == ["sql-projection", "command-service"])
        #expect(applied.eventTopics == ["parcel-events"] && applied.letterTopics.isEmpty)
        let nothing = expectations([])
        #expect(nothing.migrationSets.isEmpty && nothing.programs.isEmpty && nothing.eventTopics.isEmpty)
    }

    /// A daemon that the operator names is expected, whatever tables the database has.
    @Test func namedDaemonsAreExpected() throws {
        let options = try InstallationOptions.parse(["--daemon", "dashboard-projection", "--daemon", "outbox-relay"])
        let sets = try options.migrationSets()
        #expect(sets == ["outbox", "projections", "dashboard"])
        let expected = Installation(appliedSets: ["commands"]).expectations(named: options.chosen, needing: sets)
        #expect(expected.migrationSets == ["commands", "dashboard", "outbox", "projections"])
        #expect(expected.programs == ["outbox-relay", "dashboard-projection"] && expected.optionalPrograms.isEmpty)
        #expect(expected.letterTopics == ["dlq.dashboard", "retry.dashboard"])
    }

    @Test func theFilesOfDaemonsDecideTheirMigrationSets() throws {
        let folder = NSTemporaryDirectory() + "millrace-config-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // This command does not need the server and its secret, so a password file that cannot be read does not matter.
        let relay = """
            [postgres]
            password = { file = "not-there" }
            [relay]
            layout = "debezium"
            """
        try relay.write(toFile: folder + "/outbox-relay.toml", atomically: true, encoding: .utf8)
        let queries = "[queries]\nread_models = []\n"
        try queries.write(toFile: folder + "/query-service.toml", atomically: true, encoding: .utf8)
        func sets(_ daemons: String...) throws -> [String] {
            let options = daemons.flatMap { ["--daemon", $0] } + ["--config", folder]
            return try InstallationOptions.parse(options).migrationSets()
        }
        #expect(try sets("query-service", "outbox-relay") == ["outbox-debezium", "projections"])
        #expect(throws: CommandFailure.self) { try sets("dashboard-projection") }
        try "[relay]\nlayout = 7".write(toFile: folder + "/outbox-relay.toml", atomically: true, encoding: .utf8)
        #expect(throws: (any Error).self) { try sets("outbox-relay") }
    }

    @Test(
        arguments: [
            (12_345, "+12ms"), (3_250_000, "+3.2s"), (310_000_000, "+5m 10s"), (-2_000, "-2ms"), (0, "+0ms"),
        ] as [(Int64, String)])
    func theTimeBetweenTwoSteps(microseconds: Int64, text: String) {
        #expect(TraceCommand.elapsed(microseconds) == text)
    }

    @Test func anAnswerThatIsLateIsNone() async {
        let soon = await Answer.within(60_000) { 7 }
        #expect(soon == 7)
        let (never, end) = AsyncStream.makeStream(of: Void.self)
        let late = await Answer.within(20) { () -> Int in
            for await _ in never {}
            return 1
        }
        end.finish()
        #expect(late == nil)
    }

    @Test(arguments: [
        ["lag", "--interval", "1ms"], ["lag", "--watch", "--fail-above", "3"], ["lag", "--fail-above", "much"],
        ["doctor", "--daemon", "nobody"], ["migrate", "up", "--config", "/etc"],
        ["trace"], ["trace", "o-1", "--since", "5"], ["doctor", "-o", "yaml"], ["status", "-o", "table"],
    ])
    func wrongUse(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try MillraceCommand.parseAsRoot(arguments) }
    }
}
