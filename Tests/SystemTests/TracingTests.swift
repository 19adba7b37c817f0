import Blocking
import CollectorKit
import Foundation
import TestKit
import Testing

/// Follows one trace through all daemons in their span files, which a collector would read.
@Suite struct TracingTests {
    /// A span of a file, with the daemon that wrote it.
    private struct Span {
        let service: String
        let name: String
        let trace: String
        let id: String
        let parent: String?
        let kind: Int
        let hasFailed: Bool
        /// The ids of the spans that it is linked to.
        let links: [String]

        init(_ json: [String: Any], of service: String) throws {
            self.service = service
            name = try #require(json["name"] as? String)
            trace = try #require(json["traceId"] as? String)
            id = try #require(json["spanId"] as? String)
            parent = json["parentSpanId"] as? String
            kind = try #require(json["kind"] as? Int)
            hasFailed = json["status"] != nil
            links = (json["links"] as? [[String: Any]] ?? []).compactMap { $0["spanId"] as? String }
        }
    }

    /// All spans in the files of a folder. Each line of a file is one export request.
    private static func spans(in folder: String) throws -> [Span] {
        var spans: [Span] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
            // The last line may be incomplete.
            for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
                let request = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: [[String: Any]]]
                let group = try #require(request?["resourceSpans"]?.first)
                let resource = (group["resource"] as? [String: [[String: Any]]])?["attributes"]
                let service = resource?.first { $0["key"] as? String == "service.name" }?["value"] as? [String: String]
                let scope = try #require((group["scopeSpans"] as? [[String: Any]])?.first)
                for span in try #require(scope["spans"] as? [[String: Any]]) {
                    spans.append(try Span(span, of: try #require(service?["stringValue"])))
                }
            }
        }
        return spans
    }

    private static func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "millrace-traces-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private static let order = """
        {"customerId":"c1","currency":"EUR",\
        "shippingAddress":{"name":"A","street":"S 1","city":"B","postalCode":"1","country":"DE"},\
        "items":[{"productId":"p1","name":"Cup","quantity":2,"unitPrice":"12.50"}]}
        """

    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let client = "b7ad6b7169203331"

    @Test func oneTraceLeadsFromTheRequestToTheReadModel() async throws {
        try await Self.withFolder { folder in
            // The ratio 0 records no trace that begins in Millrace, so only the client's trace is recorded.
            let tracing = ["tracing.directory": folder, "tracing.sample_ratio": "0"]
            try await Pipeline.with { pipeline in
                try await pipeline.execute("INSERT INTO customers VALUES ('c1', 'name', 'mail', 'DE')")
                let commands = try await RunningService(pipeline.commandService(tracing), serving: "commands")
                let queries = try await RunningService(pipeline.queryService(tracing), serving: "queries")
                let daemons = try [pipeline.relay(tracing), pipeline.projection(tracing)]
                let header = ["traceparent": "00-\(Self.trace)-\(Self.client)-01"]
                let created = try await commands.post("/v1/orders", Self.order, headers: header)
                #expect(created.status == 201, "\(created.body)")
                let path = try #require(created.header("Location"))
                // This request has no trace.
                #expect(try await commands.post(path + "/confirm").status == 200)
                try await eventually { try await pipeline.isEverythingPassed() }
                #expect(try await queries.get(path, headers: header).status == 200)
                for daemon in daemons + [commands.process, queries.process] { try await daemon.stop() }

                let spans = try Self.spans(in: folder)
                #expect(spans.allSatisfy { $0.trace == Self.trace && !$0.hasFailed }, "\(spans)")
                let topic = "order" + pipeline.topicSuffix
                let chain = [
                    ("command-service", "POST /v1/orders", 2), ("command-service", "CreateOrder", 1),
                    ("outbox-relay", "send \(topic)", 4), ("order-summary-projection", "process \(topic)", 5),
                ]
                var parent = Self.client
                for (service, name, kind) in chain {
                    let span = try #require(spans.first { $0.service == service && $0.name == name }, "\(spans)")
                    #expect(span.parent == parent && span.kind == kind, "\(span)")
                    #expect(span.links == (kind == 5 ? [parent] : []), "\(span)")
                    parent = span.id
                }
                let query = try #require(spans.first { $0.service == "query-service" })
                #expect(query.name == "GET /v1/orders/{id}" && query.parent == Self.client && query.kind == 2)
                #expect(spans.count == 5, "\(spans)")
            }
        }
    }

    /// A daemon continues although its spans cannot be written.
    @Test func aFolderThatIsNotThereHoldsUpNothing() async throws {
        try await Self.withFolder { folder in
            try await Pipeline.with { pipeline in
                let relay = try pipeline.relay(["tracing.directory": folder + "/none"])
                try await pipeline.execute(Self.row)
                try await eventually { try await pipeline.number("SELECT count(*) FROM outbox") == 0 }
                try await relay.waitForLog("spans cannot be exported and are dropped")
                #expect(relay.errors.contains("cannot open \(folder)/none/outbox-relay.jsonl: No such file"))
                try await relay.stop()
            }
        }
    }

    private static let row = """
        INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload, headers)
        VALUES ('Tested', 'Order', 'o', 1, '{}', '{"traceparent":"00-\(trace)-\(client)-01"}')
        """

    /// The daemon sends the same spans over HTTP.
    @Test func aCollectorGetsTheSpansOfADaemon() async throws {
        try await TestCollector.run { collector in
            try await Pipeline.with { pipeline in
                let relay = try pipeline.relay(["tracing.endpoint": collector.endpoint])
                try await pipeline.execute(Self.row)
                // The collector receives the spans while the daemon runs, not only when it stops.
                try await eventually { !collector.spans.isEmpty }
                try await relay.stop()
                #expect(collector.spans.count == 1)
                let send = try #require(collector.spans.first)
                #expect(send.service == "outbox-relay" && send.name == "send order\(pipeline.topicSuffix)")
                #expect(send.trace == Self.trace && send.parent == Self.client)
                #expect(collector.requests.allSatisfy { $0.header("traceparent") == nil })
            }
        }
    }

    @Test func aCollectorThatIsAwayHoldsUpNothing() async throws {
        try await Pipeline.with { pipeline in
            let endpoint = "http://127.0.0.1:\(try LoopbackPort.findFree())/v1/traces"
            let relay = try pipeline.relay(["tracing.endpoint": endpoint, "tracing.give_up_after_ms": "0"])
            try await pipeline.execute(Self.row)
            try await eventually { try await pipeline.number("SELECT count(*) FROM outbox") == 0 }
            try await relay.waitForLog("spans cannot be exported and are dropped")
            #expect(relay.errors.contains("the collector cannot be reached"))
            try await relay.stop()
        }
    }
}
