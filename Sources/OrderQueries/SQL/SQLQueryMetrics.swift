internal import Metrics

/// The metrics of queries that are files of SQL.
public enum SQLQueryMetrics {
    /// What each metric is, in one sentence, by its name.
    public static let help: [String: String] = [
        hits: "Answers of queries in SQL that came out of the cache, by query.",
        misses: "Answers of queries in SQL that were looked for in the cache and had to be read, by query.",
    ]

    private static let hits = "millrace_query_cache_hits_total"
    private static let misses = "millrace_query_cache_misses_total"

    static func note(_ query: String, isHit: Bool) {
        Counter(label: isHit ? hits : misses, dimensions: [("query", query)]).increment()
    }
}
