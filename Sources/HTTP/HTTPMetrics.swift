internal import CoreMetrics
internal import NIOCore
internal import Synchronization

/// The metrics of a server. All their labels have a limited number of values: the server's name, the templates of its
/// routes, the classes of statuses and the kinds of limits.
final class HTTPMetrics: Sendable {
    /// The metrics of one route.
    private struct Series {
        /// By the status's first digit.
        let requests: [Counter]
        let duration: Timer

        init(_ server: String, _ template: String) {
            requests = (1...5).map {
                Counter(
                    label: "millrace_http_requests_total",
                    dimensions: [("server", server), ("route", template), ("status", "\($0)xx")])
            }
            duration = Timer(
                label: "millrace_http_request_duration_seconds",
                dimensions: [("server", server), ("route", template)])
        }
    }

    private let server: String
    /// By template. Routes that are added while the server runs are counted from their first request on.
    private let series: Mutex<[String: Series]>
    private let connections: Meter
    private let streams: Meter
    private let waits: Meter
    private let searches: Meter
    private let timeouts: Counter
    /// By the raw value of the share, then by the kind of the refusal.
    private let refusals: [[Counter]]

    private static let noRoute = "none"

    /// - Parameter templates: the templates of the first routes.
    init(_ name: String, templates: [String]) {
        server = name
        series = Mutex(
            Dictionary(uniqueKeysWithValues: (templates + [Self.noRoute]).map { ($0, Series(name, $0)) }))
        connections = Meter(label: "millrace_http_connections", dimensions: [("server", name)])
        streams = Meter(label: "millrace_http_streams", dimensions: [("server", name)])
        waits = Meter(label: "millrace_http_waits", dimensions: [("server", name)])
        searches = Meter(label: "millrace_http_searches", dimensions: [("server", name)])
        refusals = Share.allCases.map { share in
            // A connection that is closed without an answer is counted as a refused connection.
            let limit = share == .refusal ? Share.connection : share
            return AdmissionState.Refusal.allCases.map { refusal in
                Counter(
                    label: "millrace_http_refused_total",
                    dimensions: [("server", name), ("limit", "\(limit)"), ("of", "\(refusal)")])
            }
        }
        timeouts = Counter(label: "millrace_http_timeouts_total", dimensions: [("server", name)])
    }

    /// - Parameters:
    ///   - route: its template; nil for none.
    ///   - status: the status of the response.
    ///   - duration: the time until the response was complete, or until the head of a stream.
    func answered(route: String?, status: Int, duration: TimeAmount) {
        let template = route ?? Self.noRoute
        let series = series.withLock { all in
            if let known = all[template] { return known }
            let new = Series(server, template)
            all[template] = new
            return new
        }
        series.requests[min(max(status / 100, 1), 5) - 1].increment()
        series.duration.recordNanoseconds(duration.nanoseconds)
    }

    func opened() { connections.increment() }
    func closed() { connections.decrement() }
    func streamBegan() { streams.increment() }
    func streamEnded() { streams.decrement() }

    /// Notes that a client takes one more part of a share.
    func began(_ share: Share) {
        switch share {
        case .wait: waits.increment()
        case .search: searches.increment()
        case .connection, .refusal, .request, .stream: break
        }
    }

    func ended(_ share: Share) {
        switch share {
        case .wait: waits.decrement()
        case .search: searches.decrement()
        case .connection, .refusal, .request, .stream: break
        }
    }

    /// Notes a refusal, because the client or the server has reached a limit.
    func refused(_ share: Share, _ refusal: AdmissionState.Refusal) {
        refusals[share.rawValue][refusal == .client ? 0 : 1].increment()
    }

    /// Notes that a client or a handler was too slow.
    func timedOut() { timeouts.increment() }
}
