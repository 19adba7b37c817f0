import Foundation
import FoundationNetworking
import TestKit
import Testing

/// Tests the metrics that the daemons of a running pipeline serve, in the format that Prometheus reads.
@Suite struct MetricsTests {
    /// One scrape: the values of all series, by name with labels.
    private struct Scrape {
        let values: [String: Double]
        let duration: Duration

        init(_ daemon: Executable) async throws {
            let url = try #require(URL(string: "http://127.0.0.1:\(try await daemon.port())/metrics"))
            let start = ContinuousClock.now
            let (data, _) = try await URLSession.shared.data(for: URLRequest(url: url, timeoutInterval: 60))
            duration = .now - start
            var values: [String: Double] = [:]
            for line in String(decoding: data, as: UTF8.self).split(separator: "\n") where !line.hasPrefix("#") {
                guard let space = line.lastIndex(of: " ") else { continue }
                values[String(line[..<space])] = Double(line[line.index(after: space)...])
            }
            self.values = values
        }

        /// The values of the series with this name whose labels contain this text.
        func all(_ name: String, _ labels: String = "") -> [Double] {
            values.filter { $0.key.hasPrefix(name + "{") && (labels.isEmpty || $0.key.contains(labels)) }.map(\.value)
        }

        func sum(_ name: String, _ labels: String = "") -> Double { all(name, labels).reduce(0, +) }
    }

    @Test func aPipelineIsCounted() async throws {
        try await Pipeline.with { pipeline in
            let relay = try pipeline.relay()
            let projection = try pipeline.projection()
            let queries = try pipeline.queryService()
            try await pipeline.play(orders: 40)
            try await eventually { try await pipeline.isEverythingPassed() }
            let events = Double(try await pipeline.recordsProduced())

            try await eventually { try await Scrape(relay).sum("cqrs_outbox_pending_events") == 0 }
            let published = try await Scrape(relay)
            #expect(published.sum("millrace_outbox_published_total") == events)
            let now = Date().timeIntervalSince1970
            let last = published.sum("millrace_outbox_last_acknowledgement_timestamp_seconds")
            #expect(last > now - 600 && last <= now)
            #expect(published.all("millrace_build_info", #"program="outbox-relay",version="0."#) == [1])

            // The gauges are updated once a second, so they may not include the last events.
            var applied = try await Scrape(projection)
            try await eventually {
                applied = try await Scrape(projection)
                return applied.all("millrace_projection_next_offset", #"topic="order"#).count == 4
                    && applied.sum("millrace_projection_next_offset", #"topic="\#("order" + pipeline.topicSuffix)""#)
                        > 40
                    && applied.sum("cqrs_events_processed_total", #"projection="order-summary""#) >= events
                    && applied.sum("millrace_projection_lag_records") == 0
                    && applied.sum("millrace_projection_lag_seconds") == 0
                    && applied.all("cqrs_event_processing_lag_seconds", #"projection="order-summary""#) == [0]
            }
            #expect(applied.sum("cqrs_events_processed_total", #"event_type="OrderCreated""#) == 40)
            #expect(applied.sum("cqrs_events_processed_total", #"projection="order-summary""#) == events)
            #expect(applied.all("cqrs_events_processed_total", #"event_type="other""#) == [0])
            try await eventually {
                try await Scrape(projection).all("millrace_table_live_rows", "order_summary_rows").count == 1
            }
            // The projection queries Kafka for the log start offset after half a minute.
            try await eventually {
                try await !Scrape(projection).all("millrace_projection_log_start_offset").isEmpty
            }
            #expect(try await Scrape(projection).sum("millrace_projection_log_start_offset") == 0)

            try await ask(queries, "/v1/orders?limit=3")
            try await ask(queries, "/v1/orders/nobody")
            try await ask(queries, "/v1/orders/nobody?nonsense=1")
            try await ask(queries, "/v1/q/any-name-that-a-client-likes")
            let answered = try await Scrape(queries)
            func count(_ type: String, _ status: String) -> [Double] {
                answered.all("cqrs_queries_total", #"{query_type="\#(type)",status="\#(status)"}"#)
            }
            #expect(count("orders", "ok") == [1])
            #expect(count("order", "not_found") == [1])
            #expect(count("order", "invalid") == [1])
            #expect(count("q/other", "not_found") == [1])
            #expect(count("customer_orders", "ok") == [0])
            #expect(answered.sum("cqrs_query_duration_seconds_count") == 4)

            for daemon in [relay, projection, queries] {
                // The limit is far above the usual duration, which is below 5 ms, so that the test does not fail on a
                // machine under load.
                #expect(try await Scrape(daemon).duration < .seconds(2))
                try await daemon.stop()
            }
        }
    }

    private func ask(_ service: Executable, _ target: String) async throws {
        let text = "serving queries address="
        try await service.waitForLog(text)
        let line = service.errors.split(separator: "\n").first { $0.contains(text) }
        let port = try #require(line?.split(separator: ":").last)
        let url = try #require(URL(string: "http://127.0.0.1:\(port)\(target)"))
        _ = try await URLSession.shared.data(for: URLRequest(url: url, timeoutInterval: 60))
    }
}
