public import Postgres

/// Checks whether the database user can create the partitions of `processed_events`, as every runner does.
public enum PartitionOwnership {
    /// - Returns: a note if the user does not own the table.
    public static func notes(on connection: PostgresConnection) async throws(PostgresError) -> [String] {
        let found = try await connection.execute(
            """
            SELECT current_user::text, pg_get_userbyid(relowner)::text FROM pg_class
            WHERE oid = to_regclass('processed_events') AND NOT pg_has_role(relowner, 'USAGE')
            """)
        guard found.rowCount == 1 else { return [] }
        let (user, owner) = (try found.string(0, 0), try found.string(0, 1))
        return [
            """
            the database user \(user) cannot create partitions of processed_events, because \(owner) owns the table; \
            connect as \(owner), or as a member of that role
            """
        ]
    }
}
