internal import Metrics

/// The metrics of queries in SQL.
enum SQLQueryMetrics {
    /// The description of each metric, by its name.
    static let help: [String: String] = [
        "millrace_query_cache_hits_total": "Answers to queries in SQL that were taken from the cache, by query.",
        "millrace_query_cache_misses_total":
            "Answers to queries in SQL that were not in the cache and were read from the database, by query.",
    ]

    static func note(_ query: String, isHit: Bool) {
        let label = isHit ? "millrace_query_cache_hits_total" : "millrace_query_cache_misses_total"
        Counter(label: label, dimensions: [("query", query)]).increment()
    }
}
