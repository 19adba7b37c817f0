import Testing

@testable import Operations

@Suite struct SupervisorReportsTests {
    private let good = HealthRegistry.Report(checks: [.init(name: "loop", kind: .loop, reason: nil)])

    private func bad(_ name: String, _ reason: String) -> HealthRegistry.Report {
        HealthRegistry.Report(checks: [.init(name: name, kind: .condition, reason: reason)])
    }

    @Test func signsOfLifeComeAtHalfTheInterval() {
        var reports = SupervisorReports(watchdogInterval: .seconds(60))
        #expect(reports.lookInterval == .seconds(1))
        let sent = (0...90).filter { second in
            reports.looked(live: good, ready: good, now: .seconds(second)).contains(.alive)
        }
        #expect(sent == [0, 30, 60, 90])
    }

    @Test func nobodyWaitsForSignsOfLife() {
        var reports = SupervisorReports(watchdogInterval: nil)
        #expect(reports.looked(live: good, ready: good, now: .zero) == [.status("ready")])
    }

    /// A daemon that is not ready is not restarted. A daemon with a loop that makes no progress is restarted.
    @Test func onlyLoopsCountForTheWatchdog() {
        var reports = SupervisorReports(watchdogInterval: .seconds(2))
        let isAway = reports.looked(live: good, ready: bad("database", "not reached yet"), now: .zero)
        #expect(isAway == [.alive, .status("not ready: database: not reached yet")])
        let isStuck = reports.looked(live: bad("loop", "no progress for 121 s"), ready: good, now: .seconds(20))
        #expect(isStuck == [.status("not ready: loop: no progress for 121 s")])
        let moves = reports.looked(live: good, ready: good, now: .seconds(21))
        #expect(moves == [.alive, .status("ready")])
    }

    /// A status text that contains a time would otherwise be sent at every look.
    @Test func aChangingTextIsSentRarely() {
        var reports = SupervisorReports(watchdogInterval: nil)
        let sent = (0...25).filter { second in
            !reports.looked(live: good, ready: bad("loop", "no progress for \(second) s"), now: .seconds(second))
                .isEmpty
        }
        #expect(sent == [0, 10, 20])
        #expect(reports.looked(live: good, ready: good, now: .seconds(26)) == [.status("ready")], "at once")
    }

    @Test func aStatusHasALimit() {
        var reports = SupervisorReports(watchdogInterval: nil)
        let long = bad("loop", String(repeating: "ä", count: 10_000))
        guard case .status(let text)? = reports.looked(live: good, ready: long, now: .zero).first else {
            Issue.record("no status")
            return
        }
        #expect(text.utf8.count <= SupervisorReports.longestStatus + "…".utf8.count + 3)
        #expect(text.hasSuffix("…"))
    }
}
