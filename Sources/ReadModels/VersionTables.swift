public import Postgres

/// Creates, shows and drops the tables of a read model's versions. Each step is a part of a transaction that also
/// changes the version's row.
public protocol VersionTables: Sendable {
    /// Whether the sessions that update a version find its tables by their search path.
    var areSearchedFirst: Bool { get }

    /// Creates the schema of a version with everything in it.
    ///
    /// - Returns: the schema's name.
    func make(_ number: Int, in transaction: PostgresTransaction) async throws -> String

    /// Throws if the version was created differently from how ``make(_:in:)`` would create it now.
    func compare(_ version: ModelVersion, in transaction: PostgresTransaction) async throws

    /// Makes readers see this version instead of another one.
    func show(_ version: ModelVersion, in transaction: PostgresTransaction) async throws

    /// Drops the schema of a version, and everything else that was created for it.
    func drop(_ version: ModelVersion, in transaction: PostgresTransaction) async throws
}

extension VersionTables {
    public func compare(_ version: ModelVersion, in transaction: PostgresTransaction) async throws {}

    /// The configuration of a session that updates the version in this schema, or reads it instead of the live one.
    public func sees(_ postgres: PostgresConfiguration, _ schema: String) -> PostgresConfiguration {
        var configuration = postgres
        configuration.searchedFirst = areSearchedFirst ? [schema] : []
        return configuration
    }
}

/// Tables that a script creates. The views in the main schema select from the views of the same names of the live
/// version.
public struct ScriptTables: VersionTables {
    private let model: String
    /// Creates the tables, types and views of a version in the first schema of the search path. Their names contain no
    /// version number.
    private let script: String

    public init(model: String, script: String) {
        self.model = model
        self.script = script
    }

    public var areSearchedFirst: Bool { true }

    public func make(_ number: Int, in transaction: PostgresTransaction) async throws -> String {
        let names = try await transaction.execute(
            "SELECT millrace_version_schema($1, $2), current_schema()::text",
            Parameters {
                $0.append(model)
                $0.append(Int32(number))
            })
        let schema = try names.string(0, 0)
        let main = SQLIdentifier.quoted(try names.string(0, 1))
        try await transaction.execute(
            script: """
                CREATE SCHEMA \(SQLIdentifier.quoted(schema));
                SET LOCAL search_path TO \(SQLIdentifier.quoted(schema)), \(main);
                \(script)
                SET LOCAL search_path TO \(main)
                """)
        return schema
    }

    public func show(_ version: ModelVersion, in transaction: PostgresTransaction) async throws {
        try await transaction.execute(
            "SELECT millrace_show_version($1)", Parameters { $0.append(version.schema) })
    }

    public func drop(_ version: ModelVersion, in transaction: PostgresTransaction) async throws {
        try await transaction.execute(
            script: "DROP SCHEMA IF EXISTS \(SQLIdentifier.quoted(version.schema)) CASCADE")
    }
}
