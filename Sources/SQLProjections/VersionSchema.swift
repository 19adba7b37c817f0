internal import Foundation
public import Postgres
public import ReadModels
internal import SQLText
public import StreamCore

/// The schema of one version of a projection: made once, with `schema.sql`, and registered in `sql_projections`.
public struct VersionSchema: Sendable {
    /// Why a version cannot be run.
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
    ///   - folder: what the version is.
    ///   - isIsolated: whether the statements run as a role of the version's own, which may write nothing else.
    ///   - readers: roles that may read the version's tables.
    public init(_ folder: ProjectionFolder, isIsolated: Bool, readers: [String] = []) {
        self.folder = folder
        self.readers = readers
        role = isIsolated ? folder.schemaName : nil
    }

    /// Whether the versions of a read model run as roles of their own: as the folder's version does, or else the
    /// others; true where there is none.
    ///
    /// - Parameter connection: its search path holds the tables of the runtime.
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

    /// The projection as a daemon runs it, once the version is there.
    public var projection: SQLProjection { SQLProjection(folder, role: role) }

    /// The read model that this is a version of. The folder makes this version alone.
    public var readModel: ReadModel {
        ReadModel(
            name: folder.name, structure: folder.version, number: folder.version, tables: FolderTables(self))
    }

    /// Makes the version if it is the first one of its read model, and else checks that it is there and was made with
    /// the folder's files; then checks each statement in it.
    ///
    /// Several daemons may do so at once: they wait for each other.
    ///
    /// - Parameter connection: its search path holds the tables of the runtime. It must not be in a transaction.
    /// - Throws: ``Refusal`` when the version is not there, or has other files; ``InvalidFolder`` with what PostgreSQL
    ///   says of the files; `PostgresError`.
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

    /// Drops the version's tables and its registration, if they are there; for trials.
    func drop(_ connection: PostgresConnection) async throws {
        try await readModel.dropAll(on: connection)
    }

    /// Takes the folder's files, as they are now, for those that the version is run with from now on. What was applied
    /// before stays as it is.
    ///
    /// Daemons that run with the files before must have ended: what they apply afterwards follows the old files.
    ///
    /// - Returns: the names of the files that were others; empty when none was.
    /// - Throws: ``Refusal`` when the version is not there, or its `schema.sql` is another one; ``InvalidFolder`` with
    ///   what PostgreSQL says of the statements; `PostgresError`.
    public func adopt(_ connection: PostgresConnection) async throws -> [String] {
        let changed = try await connection.withTransaction { transaction in
            let registration = VersionRegistration(folder, transaction)
            try await registration.lock()
            guard try await registration.isKnown else {
                throw Refusal(
                    description: "there is no version \(folder.version) of \(folder.name); sql-projection makes it")
            }
            if try await InlineVersions.topicSuffix(of: folder, in: transaction) != nil {
                throw Refusal(
                    description: """
                        commands apply version \(folder.version) of \(folder.name), and do so with the files that they \
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

    /// Checks that the version is there and is run with the folder's files, and keeps these: what decides no row may be
    /// others than those before.
    func take(in transaction: PostgresTransaction) async throws {
        try await compare(in: transaction)
        try await VersionRegistration(folder, transaction).record()
    }

    /// Checks that the version is there and is run with the folder's files.
    func compare(in transaction: PostgresTransaction) async throws {
        let registration = VersionRegistration(folder, transaction)
        try await registration.lock()
        guard try await registration.isKnown else {
            throw Refusal(
                description: "there is no version \(folder.version) of \(folder.name); sql-projection makes it")
        }
        let changed = try await registration.changedFiles
        guard changed.isEmpty else { throw definitionChanged(changed) }
    }

    /// Makes the schema, checks each statement in it, and registers the version.
    func make(in transaction: PostgresTransaction) async throws {
        let registration = VersionRegistration(folder, transaction)
        try await registration.lock()
        let exists = try await transaction.execute(
            .unprepared("SELECT 1 FROM pg_namespace WHERE nspname = $1"),
            Parameters { $0.append(folder.schemaName) })
        guard exists.rowCount == 0 else {
            throw Refusal(
                description: """
                    the schema \(folder.schemaName) exists, and is none that was made for \(folder.name); \
                    drop it or give the projection another name
                    """)
        }
        let keeper = try await registration.keeper
        if let role { try await makeRole(role, keeper, transaction) }
        try await build(folder.schemaName, keeper, transaction)
        try await check(in: transaction)
        try await registration.insert()
        try await letRead(transaction)
    }

    /// Lets the readers' roles read what is there, and what the version makes later.
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
                        \(reader), one of sql_projections.readers, cannot be let read \(folder.name): \(error.message)
                        """)
            }
        }
        try await VersionRegistration(folder, transaction).letReadViews()
    }

    private func definitionChanged(_ files: [String]) -> Refusal {
        let isSchema = files.contains("schema.sql")
        let instead =
            isSchema
            ? "" : "; or, if what was applied before may stay as it is, run millrace projection adopt \(folder.path)"
        return Refusal(
            description: """
                \(files.joined(separator: ", ")) in \(folder.path): not as version \(folder.version) of \
                \(folder.name) was \(isSchema ? "made" : "run") with; raise projection.version, so that a new \
                version is built beside the old one\(instead)
                """)
    }

    /// Makes a schema as the role, with the tables of the version.
    ///
    /// - Parameter keeper: the role of the daemons, quoted, where another one does this.
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
            throw InvalidFolder([problem(error, at: place(of: error))])
        }
        if folder.strictSequence { try await transaction.execute(script: SequenceTable.definition) }
        _ = try await transaction.pipeline(session.leave)
        if role != nil, folder.strictSequence {
            // The statements have no business in it; the daemon itself has.
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
            throw Refusal(
                description: """
                    the role \(role), which the statements of \(folder.name) run as, cannot be made by this user: let \
                    an administrator run CREATE ROLE \(name) NOLOGIN; GRANT \(name) TO this user; or set \
                    sql_projections.isolate = false
                    """)
        }
    }

    // MARK: the statements

    private struct Undone: Error {}

    /// Prepares each statement as it will run, and undoes it.
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
                    problems.append(problem(error, at: statement.place(of: error, prefix: prefix.unicodeScalars.count)))
                }
            }
        }
        if !problems.isEmpty { throw InvalidFolder(problems) }
    }

    private func place(of error: PostgresError) -> SQLPlace {
        let scalars = folder.schema.text.unicodeScalars
        guard let position = error.position,
            let index = scalars.index(scalars.startIndex, offsetBy: position - 1, limitedBy: scalars.endIndex)
        else { return folder.schema.place(at: 0) }
        return folder.schema.place(at: folder.schema.text.utf8.distance(from: folder.schema.text.startIndex, to: index))
    }

    private func problem(_ error: PostgresError, at place: SQLPlace) -> FolderProblem {
        var text = error.message
        if let state = error.sqlState { text += " (SQLSTATE \(state))" }
        if let hint = error.hint { text += "; hint: \(hint)" }
        return FolderProblem(text, at: place)
    }
}
