internal import HTTP
internal import Metrics
internal import Synchronization

/// Counts queries by type. A type is the type of a route or the name of a query in SQL, so the number of types is
/// limited.
final class QueryTelemetry: Sendable {
    /// The result of a query: the values of the label `status`.
    enum Status: String, CaseIterable {
        case ok, invalid, unavailable, timeout, failed, cancelled
        /// The read model does not have the version that the client requested.
        case behind
        case notFound = "not_found"

        init(_ status: Int) {
            switch status {
            case ..<400: self = .ok
            case 404: self = .notFound
            case ..<500: self = .invalid
            case 503: self = .unavailable
            case 504: self = .timeout
            default: self = .failed
            }
        }

        init(_ error: any Error) {
            switch error {
            case let problem as Problem where problem.type == Problems.behindType: self = .behind
            case let problem as Problem: self.init(problem.status)
            case is CancellationError: self = .cancelled
            default: self = .failed
            }
        }
    }

    private struct Series {
        let counters: [Status: Counter]
        let duration: Metrics.Timer

        init(_ type: String) {
            let counters = Status.allCases.map { status in
                let dimensions = [("query_type", type), ("status", status.rawValue)]
                return (status, Counter(label: "cqrs_queries_total", dimensions: dimensions))
            }
            self.counters = Dictionary(uniqueKeysWithValues: counters)
            duration = Metrics.Timer(label: "cqrs_query_duration_seconds", dimensions: [("query_type", type)])
        }
    }

    private let series: Mutex<[String: Series]>

    /// - Parameter types: the types that have series from the start. Other types get theirs with their first query.
    init(types: [String]) {
        series = Mutex(Dictionary(uniqueKeysWithValues: types.map { ($0, Series($0)) }))
    }

    /// Answers a query and counts it.
    func counting(
        _ type: String, _ answer: () async throws -> HTTPResponse
    ) async throws -> HTTPResponse {
        let start = ContinuousClock.now
        do {
            let response = try await answer()
            count(type, Status(response.status), since: start)
            return response
        } catch {
            count(type, Status(error), since: start)
            throw error
        }
    }

    private func count(_ type: String, _ status: Status, since start: ContinuousClock.Instant) {
        let series = series.withLock { all in
            if let known = all[type] { return known }
            let new = Series(type)
            all[type] = new
            return new
        }
        series.counters[status]?.increment()
        let elapsed = (ContinuousClock.now - start).components
        series.duration.recordNanoseconds(elapsed.seconds * 1_000_000_000 + elapsed.attoseconds / 1_000_000_000)
    }
}
