internal import Foundation
public import Postgres
public import ReadModels
internal import SQLText
public import StreamCore

/// The schema of one version of a projection. It is created once by `schema.sql` and registered in `sql_projections`.
public struct VersionSchema: Sendable {
    /// The reason why a version cannot be run.
    public struct Refusal: Error, Sendable, CustomStringConvertible, RemediableError {
        public let description: String
        public var remedy: Remedy { .changeSetup }
    }

    let folder: ProjectionFolder
    let role: String?

    /// The schema's name: `customer_orders_v1`.
    public var name: String { folder.schemaName }

    private let readers: [String]

    /// - Parameters:
    ///   - folder: the definition of the version.
    ///   - isIsolated: whether the statements run as a separate role for the version, which may write nothing else.
    ///   - readers: roles that may read the version's tables.
    public init(_ folder: ProjectionFolder, isIsolated: Bool, readers: [String] = []) {
        self.folder = folder
        self.readers = readers
        role = isIsolated ? folder.schemaName : nil
    }

    /// Whether the versions of a read model run as separate roles: by the folder's version if it exists, otherwise by
    /// the other versions; true if there are none.
    ///
    /// - Parameter connection: its search path must contain the tables of the runtime.
    public static func isIsolated(_ folder: ProjectionFolder, on connection: PostgresConnection) async throws -> Bool {
        let (statement, parameters) = isolation(of: folder)
        let found = try await connection.execute(statement, parameters)
        return found.rowCount == 0 ? true : try found.bool(0, 0)
    }

    /// The same in a transaction.
    static func isIsolated(_ folder: ProjectionFolder, in transaction: PostgresTransaction) async throws -> Bool {
        let (statement, parameters) = isolation(of: folder)
        let found = try await transaction.execute(statement, parameters)
        return found.rowCount == 0 ? true : try found.bool(0, 0)
    }

    private static func isolation(of folder: ProjectionFolder) -> (Statement, Parameters) {
        (
            .unprepared(
                """
                SELECT n.nspowner = r.oid IS TRUE FROM sql_projections AS s
                JOIN pg_namespace AS n ON n.nspname = s.schema_name
                LEFT JOIN pg_roles AS r ON r.rolname = s.schema_name
                WHERE s.name = $1 ORDER BY s.version = $2 DESC, s.version DESC LIMIT 1
                """),
            Parameters {
                $0.append(folder.name)
                $0.append(Int32(folder.version))
            }
        )
    }

    /// The projection for a daemon, after the version was created.
    public var projection: SQLProjection { SQLProjection(folder, role: role) }

    /// The read model of this version. The folder can create only this version.
    public var readModel: ReadModel {
        ReadModel(
            name: folder.name, structure: folder.version, number: folder.version, tables: FolderTables(self))
    }

    /// Creates the version if it is the first one of its read model. Otherwise it checks that the version exists and
    /// was created with the folder's files, and then checks each statement.
    ///
    /// Several daemons may call it at the same time. They wait for each other.
    ///
    /// - Parameter connection: its search path must contain the tables of the runtime. It must not be in a transaction.
    /// - Throws: ``Refusal`` if the version does not exist, or has other files; ``InvalidFolder`` with PostgreSQL's
    ///   errors for the files; `PostgresError`.
    public func prepare(_ connection: PostgresConnection) async throws {
        if try await readModel.makeFirst(on: connection) != nil { return }
        try await connection.withTransaction { transaction in
            try await take(in: transaction)
            if try await InlineVersions.topicSuffix(of: folder, in: transaction) != nil {
                throw InlineVersions.refusal(folder)
            }
            try await letRead(transaction)
        }
        try await connection.withTransaction { try await check(in: $0) }
    }

    /// Drops the version's tables and its registration if they exist. For tests of folders.
    func drop(_ connection: PostgresConnection) async throws {
        try await readModel.dropAll(on: connection)
    }

    /// Replaces the files with which the version runs by the folder's current files. Rows that were written before stay
    /// unchanged.
    ///
    /// All daemons with the previous files must have ended. Otherwise they would continue to apply events by the old
    /// files.
    ///
    /// - Returns: the names of the changed files; empty if there are none.
    /// - Throws: ``Refusal`` if the version does not exist, or its `schema.sql` differs; ``InvalidFolder`` with
    ///   PostgreSQL's errors for the statements; `PostgresError`.
    public func adopt(_ connection: PostgresConnection) async throws -> [String] {
        let changed = try await connection.withTransaction { transaction in
            let registration = VersionRegistration(folder, transaction)
            try await registration.lock()
            guard try await registration.isKnown else {
                throw Refusal(
                    description: "version \(folder.version) of \(folder.name) does not exist; sql-projection creates it"
                )
            }
            if try await InlineVersions.topicSuffix(of: folder, in: transaction) != nil {
                throw Refusal(
                    description: """
                        command-service applies version \(folder.version) of \(folder.name) with the files that it \
                        began with; raise projection.version
                        """)
            }
            let changed = try await registration.changedFiles
            if changed.contains("schema.sql") { throw definitionChanged(changed) }
            return changed
        }
        try await connection.withTransaction { try await check(in: $0) }
        try await connection.withTransaction { transaction in
            let registration = VersionRegistration(folder, transaction)
            try await registration.lock()
            try await registration.record()
        }
        return changed
    }

    // MARK: the schema

    /// Checks that the version exists and runs with the folder's files, and stores these. Only files that do not
    /// determine the rows may differ from the stored ones.
    func take(in transaction: PostgresTransaction) async throws {
        try await compare(in: transaction)
        try await VersionRegistration(folder, transaction).record()
    }

    /// Checks that the version exists and runs with the folder's files.
    func compare(in transaction: PostgresTransaction) async throws {
        let registration = VersionRegistration(folder, transaction)
        try await registration.lock()
        guard try await registration.isKnown else {
            throw Refusal(
                description: "version \(folder.version) of \(folder.name) does not exist; sql-projection creates it")
        }
        let changed = try await registration.changedFiles
        guard changed.isEmpty else { throw definitionChanged(changed) }
    }

    /// Creates the schema, checks each statement in it, and registers the version.
    func make(in transaction: PostgresTransaction) async throws {
        let registration = VersionRegistration(folder, transaction)
        try await registration.lock()
        let exists = try await transaction.execute(
            .unprepared("SELECT 1 FROM pg_namespace WHERE nspname = $1"),
            Parameters { $0.append(folder.schemaName) })
        guard exists.rowCount == 0 else {
            throw Refusal(
                description: """
                    the schema \(folder.schemaName) exists, but was not created for \(folder.name); drop it, or give \
                    the projection another name
                    """)
        }
        let keeper = try await registration.keeper
        if let role { try await makeRole(role, keeper, transaction) }
        try await build(folder.schemaName, keeper, transaction)
        try await check(in: transaction)
        try await registration.insert()
        try await letRead(transaction)
    }

    /// Allows the readers' roles to read the existing and future tables of the version.
    private func letRead(_ transaction: PostgresTransaction) async throws {
        let schema = SQLIdentifier.quoted(folder.schemaName)
        let owner = role.map { "FOR ROLE \(SQLIdentifier.quoted($0)) " } ?? ""
        for reader in readers {
            let name = SQLIdentifier.quoted(reader)
            do {
                try await transaction.execute(
                    script: """
                        GRANT USAGE ON SCHEMA \(schema) TO \(name);
                        GRANT SELECT ON ALL TABLES IN SCHEMA \(schema) TO \(name);
                        ALTER DEFAULT PRIVILEGES \(owner)IN SCHEMA \(schema) GRANT SELECT ON TABLES TO \(name)
                        """)
            } catch {
                guard error.kind != .transient else { throw error }
                throw Refusal(
                    description: """
                        \(reader), one of sql_projections.readers, cannot get the right to read \(folder.name): \
                        \(error.message)
                        """)
            }
        }
        try await VersionRegistration(folder, transaction).letReadViews()
    }

    private func definitionChanged(_ files: [String]) -> Refusal {
        let isSchema = files.contains("schema.sql")
        let instead =
            isSchema
            ? ""
            : "; or, if earlier events need not be applied again, run millrace projection adopt \(folder.path)"
        return Refusal(
            description: """
                \(files.joined(separator: ", ")) in \(folder.path): other content than in version \
                \(folder.version) of \(folder.name) in the database; raise projection.version, so that a new version \
                is built beside the old one\(instead)
                """)
    }

    /// Creates a schema as the role, with the tables of the version.
    ///
    /// - Parameter keeper: the role of the daemons, quoted, if another role runs this.
    func build(_ name: String, _ keeper: String?, _ transaction: PostgresTransaction) async throws {
        let schema = SQLIdentifier.quoted(name)
        let owner = role.map { " AUTHORIZATION \(SQLIdentifier.quoted($0))" } ?? ""
        try await transaction.execute(script: "CREATE SCHEMA \(schema)\(owner)")
        let session = VersionSession(schema: name, role: role)
        _ = try await transaction.pipeline([session.enter])
        do {
            try await transaction.execute(script: folder.schema.text)
        } catch {
            guard error.kind != .transient else { throw error }
            let place = SchemaScript.place(of: error, in: folder.schema)
            let file = place == nil ? folder.schema.path + ": " : ""
            throw InvalidFolder([FolderProblem(file + Self.text(of: error), at: place)])
        }
        if folder.strictSequence { try await transaction.execute(script: SequenceTable.definition) }
        _ = try await transaction.pipeline(session.leave)
        if role != nil, folder.strictSequence {
            // Only the daemon uses this table, not the statements.
            try await transaction.execute(
                script: "ALTER TABLE \(schema).\(SequenceTable.name) OWNER TO \(keeper ?? "CURRENT_USER")")
        }
    }

    private func makeRole(_ role: String, _ keeper: String?, _ transaction: PostgresTransaction) async throws {
        try await makeRole(role, transaction)
        if let keeper {
            try await transaction.execute(script: "GRANT \(SQLIdentifier.quoted(role)) TO \(keeper)")
        }
    }

    private func makeRole(_ role: String, _ transaction: PostgresTransaction) async throws {
        let found = try await transaction.execute(
            .unprepared("SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = $1"),
            Parameters { $0.append(role) })
        if found.rowCount > 0, try found.bool(0, 0) { return }
        let name = SQLIdentifier.quoted(role)
        do {
            try await transaction.execute(
                script: (found.rowCount == 0 ? "CREATE ROLE \(name) NOLOGIN; " : "") + "GRANT \(name) TO CURRENT_USER")
        } catch {
            guard error.sqlState == .insufficientPrivilege else { throw error }
            throw refusal(of: role)
        }
    }

    private func refusal(of role: String) -> Refusal {
        let name = SQLIdentifier.quoted(role)
        return Refusal(
            description: """
                the statements of \(folder.name) run as the role \(role), but this user cannot create it: let an \
                administrator run CREATE ROLE \(name) NOLOGIN; GRANT \(name) TO this user; or set \
                sql_projections.isolate = false
                """)
    }

    /// Checks before the version is made that its role is there, or that the user may make it.
    ///
    /// - Throws: ``Refusal``, `PostgresError`.
    public func checkRole(on connection: PostgresConnection) async throws {
        guard let role else { return }
        let found = try await connection.execute(
            """
            SELECT rolsuper OR rolcreaterole
                OR EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND pg_has_role(oid, 'MEMBER'))
            FROM pg_roles WHERE rolname = current_user
            """,
            Parameters { $0.append(role) })
        guard try found.bool(0, 0) else { throw refusal(of: role) }
    }

    // MARK: the statements

    private struct Undone: Error {}

    /// Prepares each statement in its real environment, and rolls back.
    private func check(in transaction: PostgresTransaction) async throws {
        var problems: [FolderProblem] = []
        let session = VersionSession(schema: folder.schemaName, role: role)
        for handler in folder.handlers {
            for statement in handler.statements {
                let types = statement.parameterTypes(folder.mode).joined(separator: ", ")
                let prefix = "PREPARE millrace_check\(types.isEmpty ? "" : " (\(types))") AS "
                do {
                    try await transaction.withSavepoint {
                        _ = try await transaction.pipeline([session.enter])
                        try await transaction.execute(script: prefix + statement.statement.sql)
                        try await transaction.execute(script: "DEALLOCATE millrace_check")
                        throw Undone()
                    }
                } catch is Undone {
                } catch let error as PostgresError where error.kind != .transient {
                    let place = statement.place(of: error, prefix: prefix.unicodeScalars.count)
                    problems.append(FolderProblem(Self.text(of: error), at: place))
                }
            }
        }
        if !problems.isEmpty { throw InvalidFolder(problems) }
    }

    private static func text(of error: PostgresError) -> String {
        var text = error.message
        if let state = error.sqlState { text += " (SQLSTATE \(state))" }
        if let hint = error.hint { text += "; hint: \(hint)" }
        return text
    }
}
