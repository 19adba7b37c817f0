/// The metrics of an HTTP server. Each has the server's name as a label.
public enum HTTPMetricHelp {
    /// The description of each metric, by its name.
    public static let help: [String: String] = [
        "millrace_http_requests_total": "Requests that were answered, by route and class of status.",
        "millrace_http_request_duration_seconds":
            "Time from a request to the last byte of its answer; for a stream, to the header of the answer.",
        "millrace_http_connections": "Open connections.",
        "millrace_http_streams": "Open streams.",
        "millrace_http_waits": "Requests that wait for a version.",
        "millrace_http_searches": "Searches that wait or run.",
        "millrace_http_refused_total":
            "Requests and connections that were refused because of a limit, by limit and scope.",
        "millrace_http_timeouts_total": "Clients and handlers that were too slow.",
    ]
}
