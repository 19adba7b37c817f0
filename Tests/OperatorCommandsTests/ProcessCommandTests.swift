import ArgumentParser
import CommandSupport
import Postgres
import ProcessManagers
import StreamCore
import TestKit
import Testing

@testable import RepairCommands

@Suite struct ProcessCommandTests {
    private static let url = "postgresql://nobody@127.0.0.1:9/none"

    private func withProcesses(_ body: (ProcessRegistry, PostgresConnection) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: ["processes"]) { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(
                script: """
                    INSERT INTO processes (process, process_id, stage, is_finished, due_at, state_format, state, step_count,
                        started_at, updated_at)
                    VALUES ('order-process', 'o-1', 'stopped', false, NULL, 1, '{"stage":"stopped","reason":"x"}', 1,
                            '2026-03-01T11:00:00Z', '2026-03-01T12:00:00Z'),
                        ('order-process', 'o-2', 'shipped', true, NULL, 1, '{}', 1,
                            '2026-03-01T11:00:00Z', '2026-03-01T12:00:00Z'),
                        ('order-process', 'o-3', 'awaiting_stock', false, '2026-03-01T13:00:00Z', 1, '{}', 1,
                            '2026-03-01T11:00:00Z', '2026-03-01T12:00:01Z'),
                        ('another', 'o-4', 'stopped', false, NULL, 1, '{}', 1,
                            '2026-03-01T11:00:00Z', '2026-03-01T12:00:00Z');
                    INSERT INTO process_steps (process, process_id, number, at, step, outcome, stage)
                    SELECT process, process_id, 1, updated_at, 'CancelOrder', 'order' || chr(27) || '-shipped', stage
                    FROM processes
                    """)
            try await body(ProcessRegistry(connection), connection)
            await connection.close()
        }
    }

    @Test func theListShowsWhatStopped() async throws {
        try await withProcesses { registry, _ in
            let now = try #require(Timestamp("2026-03-01T12:01:05Z"))
            let stopped = try await registry.list(.init(process: "order-process", stage: "stopped"), limit: 10)
            #expect(
                ListProcesses.table(stopped, now: now) == """
                    PROCESS  STAGE    FOR    STEPS  DUE  STATE
                    o-1      stopped  1m 5s  1      -    {"stage":"stopped","reason":"x"}
                    """)
            #expect(JSONText.line(ProcessJSON.Summary(stopped[0])).contains(#""processId":"o-1""#))
            let open = try await registry.list(.init(process: "order-process"), limit: 10)
            #expect(open.map(\.id) == ["o-1", "o-3"], "the unfinished processes")
            #expect(try await registry.list(.init(stage: "stopped"), limit: 1).map(\.id) == ["o-4"])
        }
    }

    @Test func theShownProcessHasItsHistory() async throws {
        try await withProcesses { registry, _ in
            let now = try #require(Timestamp("2026-03-01T12:01:05Z"))
            let (row, history) = try #require(try await ShowProcess.find("order-process", "o-2", in: registry))
            let text = ShowProcess.text(row, history, now: now)
            for part in [
                "process   order-process o-2", "stage     shipped; finished",
                "changed   2026-03-01 12:00:00 (1m 5s ago)",
                "1     2026-03-01 12:00:00  CancelOrder  order\\x1B-shipped  shipped",
            ] { #expect(text.contains(part), "\(part) is not in \(text)") }
            #expect(JSONText.line(ProcessJSON.Detail(row, history)).contains(#""step":"CancelOrder""#))
            #expect(try await ShowProcess.find("order-process", "o-9", in: registry) == nil)
        }
    }

    @Test func aResumptionIsShownThenDoneAndWrittenDown() async throws {
        try await withProcesses { registry, connection in
            let command = try ResumeProcesses.parse(["o-1", "o-2", "--database", Self.url])
            let change = ProcessResumption(options: command.options, ids: command.ids)
            let dry = try await change.outcome(by: nil, in: registry)
            #expect(dry.processes == ["o-1"] && dry.missing == ["o-2"] && !dry.isDone)
            #expect(dry.text.contains("would resume 1 process\n  o-1"))
            #expect(dry.text.contains("it has not stopped: o-2"))
            #expect(dry.text.hasSuffix(AuditOptions.howToExecute))
            #expect(try await connection.execute("SELECT count(*) FROM process_steps").int64(0, 0) == 4)

            let done = try await change.outcome(by: Audit(actor: "mara", reason: "fixed"), in: registry)
            #expect(done.processes == ["o-1"] && done.isDone)
            #expect(done.json == #"{"action":"resume","executed":true,"missing":["o-2"],"processes":["o-1"]}"#)
            let row = try #require(try await registry.find("order-process", "o-1"))
            #expect(row.stepCount == 2 && row.dueAt != nil)
            let history = try await registry.history(of: "order-process", "o-1")
            #expect(history.last?.step == "resume" && history.last?.outcome == "mara: fixed")
            #expect(try await registry.find("another", "o-4")?.dueAt == nil, "another kind of process")
        }
    }

    @Test func aResumptionNeedsASelectionAndAReason() throws {
        #expect(throws: (any Error).self) { try ResumeProcesses.parse(["--database", Self.url]) }
        #expect(throws: (any Error).self) { try ResumeProcesses.parse(["a", "--all", "--database", Self.url]) }
        #expect(throws: (any Error).self) { try ResumeProcesses.parse(["a", "--execute", "--database", Self.url]) }
        #expect(throws: (any Error).self) { try ListProcesses.parse(["--limit", "0", "--database", Self.url]) }
        let parsed = try ResumeProcesses.parse([
            "--all", "--execute", "--reason", "r", "--as", "m", "--database", Self.url,
        ])
        #expect(parsed.all && parsed.audit.audit == Audit(actor: "m", reason: "r"))
    }
}
