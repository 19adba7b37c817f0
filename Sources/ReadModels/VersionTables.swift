public import Postgres

/// How the tables of a read model's versions are made, shown and dropped: each step is a part of a transaction that
/// also changes the version's row.
public protocol VersionTables: Sendable {
    /// Whether sessions that keep a version find its tables by their search path.
    var areSearchedFirst: Bool { get }

    /// Makes the schema of a version, and all that is in it.
    ///
    /// - Returns: the schema's name.
    func make(_ number: Int, in transaction: PostgresTransaction) async throws -> String

    /// Throws when the version was made in another way than ``make(_:in:)`` would make it now.
    func compare(_ version: ModelVersion, in transaction: PostgresTransaction) async throws

    /// Lets readers see this version in the place of another one.
    func show(_ version: ModelVersion, in transaction: PostgresTransaction) async throws

    /// Drops the schema of a version, and what else was made for it.
    func drop(_ version: ModelVersion, in transaction: PostgresTransaction) async throws
}

extension VersionTables {
    public func compare(_ version: ModelVersion, in transaction: PostgresTransaction) async throws {}

    /// The database as a session sees it that keeps the version in this schema, or reads it instead of the live one.
    public func sees(_ postgres: PostgresConfiguration, _ schema: String) -> PostgresConfiguration {
        var configuration = postgres
        configuration.searchedFirst = areSearchedFirst ? [schema] : []
        return configuration
    }
}

/// Tables that a script makes. The views in the main schema show the live version's views of the same names.
public struct ScriptTables: VersionTables {
    private let model: String
    /// Makes the tables, types and views of a version, under names without a number, in the first schema of the search
    /// path.
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
