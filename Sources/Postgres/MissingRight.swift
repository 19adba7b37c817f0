public import StreamCore

/// A right that the database user lacks, with the statement that grants it.
///
/// PostgreSQL does not report a missing right on a schema. It leaves the schema out of the search path, so all tables
/// of the schema seem to be missing.
public struct MissingRight: RemediableError, Hashable, CustomStringConvertible {
    /// The role without the right.
    public let role: String
    /// The missing right and its object, as in `USAGE on schema shop`.
    public let right: String
    /// The statement that grants the right. The owner of the object, or a superuser, can run it.
    public let grant: String

    public var remedy: Remedy { .changeSetup }

    public var description: String {
        "the database user \(role) lacks the right \(right); run as its owner or as a superuser: \(grant)"
    }

    /// Looks for the right to use a schema.
    ///
    /// - Returns: nil if the session's user has the right, or if there is no such schema.
    public static func usage(
        of schema: String, on connection: PostgresConnection
    ) async throws(PostgresError) -> MissingRight? {
        let rows = try await connection.execute(
            "SELECT current_user::text FROM pg_namespace WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'USAGE')",
            Parameters { $0.append(schema) })
        guard rows.rowCount > 0 else { return nil }
        let (role, place) = (try rows.string(0, 0), SQLIdentifier.quoted(schema))
        return MissingRight(
            role: role, right: "USAGE on schema \(schema)",
            grant: "GRANT USAGE ON SCHEMA \(place) TO \(SQLIdentifier.quoted(role))")
    }

    /// Looks for the right behind an error which says that a table does not exist.
    ///
    /// - Returns: nil if the error says something else, or if no right is missing.
    public static func behind(
        _ error: any Error, in schema: String, on connection: PostgresConnection
    ) async -> MissingRight? {
        guard (error as? PostgresError)?.sqlState == .undefinedTable else { return nil }
        return try? await usage(of: schema, on: connection)
    }

    /// Looks for the right to read a table, which must be in a schema of the search path.
    ///
    /// - Returns: nil if the session's user has the right, or if there is no such table.
    public static func select(
        from table: String, on connection: PostgresConnection
    ) async throws(PostgresError) -> MissingRight? {
        let rows = try await connection.execute(
            """
            SELECT current_user::text, relnamespace::regnamespace::text FROM pg_class
            WHERE oid = to_regclass(quote_ident($1)) AND NOT has_table_privilege(oid, 'SELECT')
            """, Parameters { $0.append(table) })
        guard rows.rowCount > 0 else { return nil }
        let role = try rows.string(0, 0)
        let place = "\(try rows.string(0, 1)).\(SQLIdentifier.quoted(table))"
        return MissingRight(
            role: role, right: "SELECT on table \(table)",
            grant: "GRANT SELECT ON \(place) TO \(SQLIdentifier.quoted(role))")
    }
}
