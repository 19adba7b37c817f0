import Commands
import Events
import Logging
import Postgres
import TestKit
import Testing
import Traces
import Tracing

/// The span of a command, and the trace in its outbox rows.
@Suite struct CommandTracingTests {
    private static let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    private static func headers(_ scene: TallyScene) async throws -> [String?] {
        let connection = try await PostgresConnection.connect(scene.database)
        let result = try await connection.execute(.unprepared("SELECT headers::text FROM outbox ORDER BY id"))
        await connection.close()
        return try (0..<result.rowCount).map { try result.optionalString($0, 0) }
    }

    private static func json(_ context: TraceContext) -> String {
        let state = context.state.map { #","tracestate":"\#($0)""# } ?? ""
        return #"{"traceparent":"\#(context.traceparent)"\#(state)}"#
    }

    @Test func theRowsOfACommandNameItsSpan() async throws {
        let spans = RecordedSpans()
        try await TallyScene.with { scene in
            try await withTracer(spans.tracer(ratio: 0)) {
                // Like a request, the command is sent within the server's span.
                let server = spans.tracer().startSpan(
                    "POST", context: spans.tracer().context(traceparent: Self.traceparent, state: "a=b"))
                try await InstrumentationContext.$current.withValue(server.context) {
                    try await scene.bus.send(Add(tally: "t", number: 1))
                    try await scene.bus.send(Add(tally: "t", number: -9))
                    await #expect(throws: CommandFailure.versionMismatch(current: 1)) {
                        try await scene.bus.send(Add(tally: "t", number: 1), CommandRequest(expectedVersion: 7))
                    }
                }
                // The command has no trace, and the bus begins none.
                try await scene.bus.send(Add(tally: "t", number: 1))
                let parent = server.context.traceContext?.spanID
                #expect(spans.all.map(\.name) == ["Add", "Add", "Add"])
                #expect(spans.all.allSatisfy { $0.parentID == parent && $0.kind == .internal })
            }
            let own = try #require(spans.all.first)
            #expect(own.context.traceID.text == "0af7651916cd43dd8448eb211c80319c")
            #expect(try await Self.headers(scene) == [Self.json(own.context), nil])
            let statuses = spans.all.map { $0.text("millrace.command.status") }
            #expect(statuses == ["accepted", "refused", "version_mismatch"])
            #expect(own.text("millrace.command.events") == "1" && own.text("millrace.command.name") == "Add")
            #expect(spans.all[1].text("millrace.command.rule") == "below-zero" && spans.all[1].status == nil)
            #expect(spans.all[2].status?.code == .error && spans.all[2].text("error.type") == "version_mismatch")
        }
    }

    /// Two commands share a transaction, and only one has a trace.
    @Test func whatCameAlongIsPassedOnWithoutATracer() async throws {
        try await TallyScene.with { scene in
            let trace = try #require(TraceContext(traceparent: Self.traceparent, state: "a=b"))
            async let traced = scene.bus.send(Add(tally: "t", number: 1), CommandRequest(trace: trace))
            async let plain = scene.bus.send(Add(tally: "u", number: 1))
            _ = try await (traced, plain)
            #expect(Set(try await Self.headers(scene)) == [Self.json(trace), nil])
        }
    }

    @Test func aRequestsHeadersBecomeTheCommandsTrace() throws {
        func trace(_ headers: [String: String]) throws -> TraceContext? {
            try CommandCall(method: "POST", path: "/") { headers[$0] }.request(source: "test").trace
        }
        #expect(try trace(["traceparent": Self.traceparent, "tracestate": "a=b"])?.state == "a=b")
        #expect(try trace(["traceparent": Self.traceparent])?.traceparent == Self.traceparent)
        #expect(try trace(["traceparent": "00-forged\"}"]) == nil && trace([:]) == nil)
    }
}
