/// The metrics of queries. Their names are the ones that CQRS guides use.
public enum QueryMetrics {
    static let answeringServer = "millrace_query_server"
    static let replicaDelay = "millrace_query_replica_delay_seconds"

    /// The description of each metric, by its name.
    public static let help: [String: String] = [
        "cqrs_queries_total": "Queries by type and result.",
        "cqrs_query_duration_seconds": "Time from a query to its answer, without the time to send it.",
        answeringServer: "1 for the database server that answers queries, primary or replica, if there is a replica.",
        replicaDelay: "Maximum age of the data on the replica; NaN while it is unknown.",
    ].merging(SQLQueryMetrics.help) { own, _ in own }
}
