internal import Postgres

/// The session state of a version's statements: its role, and its schema as search path, until the end of the
/// transaction or until it is left. Extensions are found in `public`.
struct VersionSession: Sendable {
    let enter: (Statement, Parameters)
    let leave: [(Statement, Parameters)]

    /// - Parameter role: nil for the session's role.
    init(schema: String, role: String?) {
        let path = SQLIdentifier.quoted(schema) + ", public"
        var leave: [Statement] = [.unprepared("SET LOCAL search_path TO DEFAULT")]
        if let role {
            enter = (
                "SELECT set_config('search_path', $1, true), set_config('role', $2, true)",
                Parameters {
                    $0.append(path)
                    $0.append(role)
                }
            )
            leave.insert(.unprepared("SET LOCAL ROLE NONE"), at: 0)
        } else {
            enter = ("SELECT set_config('search_path', $1, true)", Parameters { $0.append(path) })
        }
        self.leave = leave.map { ($0, Parameters()) }
    }
}
