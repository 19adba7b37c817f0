import CoreMetrics
import HTTP
import Operations
import TestKit
import Testing

@Suite struct HTTPMetricsTests {
    /// The metrics backend of the process, which can be set only once.
    static let metrics: PrometheusMetrics = {
        let metrics = PrometheusMetrics()
        MetricsSystem.bootstrap(metrics)
        return metrics
    }()

    @Test func requestsAreCountedByRouteAndStatus() async throws {
        let metrics = Self.metrics
        let (began, release) = (Signal(), Signal())
        let routes = [
            HTTPRoute("/v1/orders/{id}") { $0.parameter("id") == "7" ? text("7") : text("none", status: 404) },
            HTTPRoute("/stream", isStream: true) { _ in
                HTTPResponse(
                    body: .stream { _ in
                        began.happen()
                        await release.wait()
                    })
            },
        ]
        try await ServedHTTP.run(routes) {
            $0.name = "counted"
        } _: { server in
            let client = try server.client()
            for target in ["/v1/orders/7", "/v1/orders/7", "/v1/orders/8", "/secret-1", "/secret-2"] {
                _ = try await client.get(target)
            }
            let streaming = try server.client()
            try await streaming.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            await began.wait()
            let text = metrics.exposition()
            let requests = #"millrace_http_requests_total{route="#
            #expect(text.contains(requests + #""/v1/orders/{id}",server="counted",status="2xx"} 2"#), "\(text)")
            #expect(text.contains(requests + #""/v1/orders/{id}",server="counted",status="4xx"} 1"#))
            #expect(text.contains(requests + #""none",server="counted",status="4xx"} 2"#))
            #expect(!text.contains("secret"))
            #expect(
                text.contains(
                    #"millrace_http_request_duration_seconds_count{route="/v1/orders/{id}",server="counted"} 3"#))
            #expect(text.contains(#"millrace_http_connections{server="counted"} 2"#))
            #expect(text.contains(#"millrace_http_streams{server="counted"} 1"#))
            release.happen()
            _ = try await streaming.response()
            try await eventually { metrics.exposition().contains(#"millrace_http_streams{server="counted"} 0"#) }
        }
        #expect(metrics.exposition().contains(#"millrace_http_connections{server="counted"} 0"#))
    }
}
