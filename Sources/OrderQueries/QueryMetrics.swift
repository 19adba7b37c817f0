/// The metrics of queries, under the names that field guides use.
public enum QueryMetrics {
    /// What each metric is, in one sentence, by its name.
    public static let help: [String: String] = [
        "cqrs_queries_total": "Queries by type and by what became of them.",
        "cqrs_query_duration_seconds": "Time from a query to its answer, without the time to send it.",
    ].merging(SQLQueryMetrics.help) { own, _ in own }
}
