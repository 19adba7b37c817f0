internal import Postgres

/// Checks whether the roles have the privileges that the programs need, in the schema of the programs and in the
/// schemas of read models' versions.
struct RightsCheck: Check {
    let name = "rights"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let connection = try scene.database()
        let schemas = try await scene.schemas()
        let user = try await connection.execute("SELECT current_user::text").string(0, 0)
        // An operator may connect as a user who may only read.
        let matters = scene.expected.roles.isEmpty ? try await isOfADaemon(user, scene, connection) : true
        var findings: [Finding] = []
        for role in scene.expected.roles.isEmpty ? [user] : scene.expected.roles {
            for schema in schemas {
                let lacks = try await missing(role, schema, connection)
                if lacks.isEmpty { continue }
                let shown =
                    lacks.prefix(5).joined(separator: ", ") + (lacks.count > 5 ? " and \(lacks.count - 5) more" : "")
                let (grantee, place) = (SQLIdentifier.quoted(role), SQLIdentifier.quoted(schema))
                findings.append(
                    Finding(
                        matters ? .warning : .note, "\(role) lacks these rights in schema \(schema): \(shown)",
                        remedy: matters
                            ? "GRANT USAGE ON SCHEMA \(place) TO \(grantee); "
                                + "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \(place) TO \(grantee)"
                            : "name the roles that the daemons connect as: --role"))
            }
        }
        return findings.isEmpty
            ? [Finding(.ok, "all rights on the tables of \(schemas.joined(separator: ", "))")] : findings
    }

    /// Whether a program is connected as the user.
    private func isOfADaemon(
        _ user: String, _ scene: CheckScene, _ connection: PostgresConnection
    ) async throws -> Bool {
        var programs = TextArray()
        for name in scene.expected.programs + scene.expected.optionalPrograms { programs.append(name) }
        return try await connection.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1::text::name AND application_name = ANY($2))",
            Parameters {
                $0.append(user)
                $0.append(programs)
            }
        ).bool(0, 0)
    }

    /// - Returns: each missing privilege with its object.
    private func missing(
        _ role: String, _ schema: String, _ connection: PostgresConnection
    ) async throws(PostgresError) -> [String] {
        let rows = try await connection.execute(
            Self.missing,
            Parameters {
                $0.append(role)
                $0.append(schema)
            })
        var lacks: [String] = []
        for row in 0..<rows.rowCount { lacks.append(try rows.string(row, 0)) }
        return lacks
    }

    private static let missing: Statement = """
        SELECT 'USAGE on the schema', 0, ''::name
        WHERE NOT has_schema_privilege($1::text::name, to_regnamespace(quote_ident($2))::oid, 'USAGE')
        UNION ALL
        SELECT string_agg(r.name, ', ' ORDER BY r.n) || ' on ' || c.relname, 1, c.relname
        FROM pg_class AS c
        CROSS JOIN (VALUES (1, 'SELECT'), (2, 'INSERT'), (3, 'UPDATE'), (4, 'DELETE')) AS r (n, name)
        WHERE c.relnamespace = to_regnamespace(quote_ident($2)) AND c.relkind IN ('r', 'p')
            AND NOT has_table_privilege($1::text::name, c.oid, r.name)
        GROUP BY c.relname ORDER BY 2, 3
        """
}
