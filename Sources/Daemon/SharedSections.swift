/// One file or environment may serve several daemons: sections that another daemon declares are left to it, and not
/// taken for a slip of the pen. A daemon links no other, so that their names stand here; a test holds them to what the
/// daemons declare.
public enum SharedSections {
    public static let names: Set<String> = [
        "relay", "projection", "sql_projections", "dashboard", "dead_letters", "letters", "retries", "alerts", "http",
        "commands", "orders", "queries", "sql_queries", "page",
    ]
}
