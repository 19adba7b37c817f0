/// The sections of all daemons. One file or environment may configure several daemons, so a daemon ignores sections of
/// the others instead of reporting them as typing errors. Daemons do not link each other, so the names are listed here.
/// A test compares the list with the daemons' declarations.
public enum SharedSections {
    public static let names: Set<String> = [
        "relay", "projection", "sql_projections", "dashboard", "dead_letters", "letters", "retries", "alerts", "http",
        "commands", "orders", "order_process", "queries", "sql_queries", "page",
    ]
}
