public import Postgres
public import ReadModels

/// The tables of versions that folders define. Each version has its own schema. Another schema, with the name of the
/// projection, contains views of the live version's tables and views.
public struct FolderTables: VersionTables {
    private let name: String
    /// The version to create; nil if only the name is known.
    private let schema: VersionSchema?

    init(_ schema: VersionSchema) {
        name = schema.folder.name
        self.schema = schema
    }

    private init(named name: String) {
        self.name = name
        schema = nil
    }

    /// A read model of which only the name is known. Its versions can be listed, promoted and dropped.
    public static func readModel(named name: String) -> ReadModel {
        ReadModel(name: name, structure: nil, tables: FolderTables(named: name))
    }

    /// Statements specify their schema, so a table of a folder cannot hide a table of the runtime.
    public var areSearchedFirst: Bool { false }

    public func make(_ number: Int, in transaction: PostgresTransaction) async throws -> String {
        guard let schema else {
            throw RebuildRefusal(
                .unknownModel, "no version of \(name) can be created without its folder: give --projection DIR")
        }
        try await schema.make(in: transaction)
        return schema.folder.schemaName
    }

    public func compare(_ version: ModelVersion, in transaction: PostgresTransaction) async throws {
        try await schema?.take(in: transaction)
    }

    public func show(_ version: ModelVersion, in transaction: PostgresTransaction) async throws {
        try await InlineVersions.leave(name, shown: version.version, in: transaction)
        try await transaction.execute(
            "SELECT millrace_show_sql_version($1, $2)",
            Parameters {
                $0.append(name)
                $0.append(version.schema)
            })
    }

    public func drop(_ version: ModelVersion, in transaction: PostgresTransaction) async throws {
        let key = Parameters {
            $0.append(name)
            $0.append(Int32(version.version))
        }
        try await ReplaySchema.dropAbandoned(of: name, in: transaction)
        try await InlineVersions.leave(name, dropped: version.version, in: transaction)
        try await transaction.execute("DELETE FROM sql_projections WHERE name = $1 AND version = $2", key)
        try await transaction.execute(
            script: "DROP SCHEMA IF EXISTS \(SQLIdentifier.quoted(version.schema)) CASCADE")
        try await Self.dropRole(version.schema, in: transaction)
        let views = try await transaction.execute(
            """
            DELETE FROM sql_projection_views AS v
            WHERE name = $1 AND NOT EXISTS (SELECT FROM sql_projections AS s WHERE s.name = v.name)
            RETURNING schema_name
            """, Parameters { $0.append(name) })
        guard views.rowCount > 0 else { return }
        try await transaction.execute(
            script: "DROP SCHEMA IF EXISTS \(SQLIdentifier.quoted(try views.string(0, 0))) CASCADE")
    }

    /// Drops the version's role, unless it owns other objects or an administrator created it.
    static func dropRole(_ role: String, in transaction: PostgresTransaction) async throws {
        do {
            try await transaction.withSavepoint {
                try await transaction.execute(script: "DROP ROLE IF EXISTS \(SQLIdentifier.quoted(role))")
            }
        } catch let error as PostgresError where ["2BP01", "42501"].contains(error.sqlState?.code) {
            // The role stays. It cannot log in, and owns nothing here any more.
        }
    }
}
