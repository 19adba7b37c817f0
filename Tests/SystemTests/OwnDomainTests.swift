import Foundation
import TestKit
import Testing

/// Tests an installation for a team's own events without the demo shop, from the migrations to the operators' commands.
@Suite struct OwnDomainTests {
    @Test(arguments: OwnDomain.Layout.allCases)
    func theWholeWayNeedsNothingOfTheShop(_ layout: OwnDomain.Layout) async throws {
        try await OwnDomain.with(layout) { domain in
            try await install(domain)
            let daemons = try OwnDomain.daemons.map(domain.daemon)
            let service = try await RunningService(daemons[2], serving: "queries")
            for number in 1...5 { try await domain.scan("p-1", number, grams: "10") }
            try await expectAnswers(service, domain)
            try await expectVerification(domain)
            try await expectAllIsWell(domain)
            try await expectTheWayOfAParcel(domain)
            try await expectRowsAreSetAside(domain)
            try await expectLetters(domain)
            try await rebuild(domain, service)
            for daemon in daemons { try await daemon.stop() }
        }
    }

    /// The required migration sets are those of the daemons with their configuration files.
    private func install(_ domain: OwnDomain) async throws {
        let nothing = try await domain.millrace(["verify"], code: 78)
        #expect(nothing.errors.contains("has neither projections nor an outbox"), "\(nothing.errors)")
        try await domain.makeFolder()
        let settings = try domain.writeSettings()
        let daemons = OwnDomain.daemons.flatMap { ["--daemon", $0] }
        try await domain.millrace(["migrate", "up"] + daemons + ["--config", settings])
        try await domain.millrace(["migrate", "verify"] + daemons + ["--config", settings])
        let outbox = domain.layout == .millrace ? "outbox" : "outbox-debezium"
        #expect(
            try await domain.texts("SELECT DISTINCT set FROM millrace_migrations ORDER BY 1")
                == ["dead-letters", outbox, "projections", "sql-projections"])
        try await domain.makeTables()
    }

    private func expectAnswers(_ service: RunningService, _ domain: OwnDomain) async throws {
        try await eventually {
            let answer = try await service.get("/v1/q/\(domain.name)?parcel=p-1")
            return answer.status == 200 && answer.body.contains(#""grams":50,"scans":5"#)
        }
        try await eventually { try await service.get("/v1/freshness").header("X-As-Of") != "unknown" }
        for path in ["/v1/orders", "/v1/customers/c/summary", "/v1/dashboard", "/"] {
            #expect(try await service.get(path).status == 404, "\(path)")
        }
        let description = try await service.get("/openapi.json").body
        #expect(description.contains("/v1/q/\(domain.name)") && description.contains("/v1/freshness"))
        #expect(!description.contains("/v1/orders") && !description.contains("/v1/dashboard"))
    }

    private func expectVerification(_ domain: OwnDomain) async throws {
        let verify = ["verify", "--wait", "120s"] + domain.tableOption
        let equal = try await domain.millrace(verify)
        #expect(equal.output.hasPrefix("equal: the read models match the events\n"), "\(equal.output)")
        #expect(equal.output.contains("\(domain.views)_v1 parcels: compared 1, differing 0"), "\(equal.output)")
        #expect(equal.output.contains("\nevents in transit: none"), "\(equal.output)")
        try await domain.execute("UPDATE \(domain.views)_v1.parcels SET grams = grams + 1")
        let different = try await domain.millrace(verify, code: 1)
        #expect(different.output.contains("NOT equal") && different.output.contains("_v1 parcels"))
        try await domain.execute("UPDATE \(domain.views)_v1.parcels SET grams = grams - 1")
        let tables = try await domain.millrace(verify + ["--tables-only"], code: 78)
        #expect(tables.errors.contains("--tables-only has nothing to compare"), "\(tables.errors)")
    }

    /// Names of the checks that concern only this installation. Checks of things that all tests of the server share are
    /// left out.
    private static let ownChecks: Set = [
        "schema", "rights", "programs", "outbox", "outbox dead rows", "outbox failed rows", "blocked keys",
        "circuit breakers", "dead letters", "kafka", "topics",
    ]

    private func expectAllIsWell(_ domain: OwnDomain) async throws {
        // On a busy machine, a server may answer too late for this command.
        try await eventually {
            try await domain.exitCode(["status"] + domain.tableOption) == 0
        }
        let doctor = try domain.start(["doctor", "-o", "json"] + domain.tableOption)
        #expect(try await [0, 1].contains(doctor.exitCode()), "\(doctor.output) \(doctor.errors)")
        struct Finding: Decodable {
            let check: String
            let severity: String
            let finding: String
        }
        let all = try JSONDecoder().decode([Finding].self, from: Data(doctor.output.utf8))
        let findings = all.filter { Self.ownChecks.contains($0.check) }
        #expect(Set(findings.map(\.check)) == Self.ownChecks)
        for finding in findings { #expect(finding.severity == "ok", "\(finding)") }
        let programs = findings.filter { $0.check == "programs" }.map { $0.finding.prefix { $0 != ":" } }
        #expect(Set(programs) == Set(OwnDomain.daemons.map { $0[...] }))
        let topics = findings.filter { $0.check == "topics" }.map { $0.finding.prefix { $0 != ":" } }
        #expect(topics == [domain.topic[...], "dlq.\(domain.name)", "retry.\(domain.name)"])
        #expect(!doctor.output.contains("order"), "\(doctor.output)")
        // If a daemon is named, its tables must exist.
        let more = try domain.start(["doctor", "--daemon", "order-summary-projection", "--without-kafka"])
        #expect(try await more.exitCode() == 2 && more.output.contains("missing: order-summary 1"), "\(more.output)")
        let lag = try await domain.millrace(["lag", "--consumer", domain.name, "-o", "json"])
        #expect(lag.output.contains(#""lag":0,"#) && lag.output.contains(domain.topic), "\(lag.output)")
    }

    private func expectTheWayOfAParcel(_ domain: OwnDomain) async throws {
        let trace = try await domain.millrace(["trace", "p-1"] + domain.tableOption)
        #expect(trace.output.contains("\(domain.topic)/"), "\(trace.output)")
        #expect(trace.output.contains("\(domain.name) v1"), "\(trace.output)")
        let steps = trace.output.split(separator: "\n")
        #expect(steps.count { $0.contains(" applied") } == 5, "\(trace.output)")
        let tail = try await domain.millrace(["tail", "--key", "p-1"], schema: false)
        let shown = tail.output.split(separator: "\n").filter { $0.contains(domain.topic) }
        #expect(shown.count == 5 && shown.allSatisfy { $0.contains("grams=10") }, "\(tail.output)")
        // In Debezium's layout, the type is in the header eventType.
        #expect(shown.allSatisfy { $0.contains("ParcelScanned") }, "\(tail.output)")
        #expect(steps.contains { $0.contains("ParcelScanned") }, "\(trace.output)")
    }

    private func expectRowsAreSetAside(_ domain: OwnDomain) async throws {
        try await domain.scan("p-2", 6, grams: "1", type: "no topic!")
        try await eventually { try await domain.number("SELECT count(*) FROM outbox_failed") == 1 }
        let list = try await domain.millrace(["outbox", "failed", "list"] + domain.tableOption)
        #expect(list.output.contains("p-2") && list.output.contains("ParcelScanned"), "\(list.output)")
        let verify = try await domain.millrace(["verify"] + domain.tableOption)
        #expect(verify.output.contains("events in transit: 1 set aside"), "\(verify.output)")
        try await domain.millrace(
            ["outbox", "failed", "discard", "--all", "--execute", "--reason", "a test", "--as", "tests"]
                + domain.tableOption)
    }

    private func expectLetters(_ domain: OwnDomain) async throws {
        try await domain.scan("p-3", 7, grams: #""heavy""#)
        try await domain.scan("p-3", 8, grams: "3")
        try await eventually { try await domain.number("SELECT count(*) FROM dead_letters") == 2 }
        let list = try await domain.millrace(["dead-letters", "list", "--consumer", domain.name])
        #expect(list.output.contains("p-3") && list.output.contains("sql_22P02"), "\(list.output)")
        let discard = ["dead-letters", "discard", "--class", "sql_22P02", "--consumer", domain.name]
        try await domain.millrace(discard + ["--execute", "--reason", "a test", "--as", "tests"])
        // The events that waited behind the discarded one are applied.
        try await eventually {
            try await domain.number("SELECT coalesce(sum(grams), 0) FROM \(domain.views).parcels WHERE parcel = 'p-3'")
                == 3
        }
    }

    private func rebuild(_ domain: OwnDomain, _ service: RunningService) async throws {
        let next = try domain.makeNextVersion()
        try await domain.millrace(["rebuild", "start", "--projection", next, "--until-caught-up"])
        try await domain.millrace(["rebuild", "promote", domain.name])
        #expect(try await domain.number("SELECT sum(mean) FROM \(domain.views).parcels") == 13)
        let answer = try await service.get("/v1/q/\(domain.name)?parcel=p-3")
        #expect(answer.body.contains(#""grams":3,"scans":1"#), "\(answer)")
        try await domain.millrace(["rebuild", "retire", domain.name])
        let verify = try await domain.millrace(["verify"] + domain.tableOption)
        #expect(verify.output.contains("\(domain.views)_v2 parcels: compared 2, differing 0"), "\(verify.output)")
    }
}
