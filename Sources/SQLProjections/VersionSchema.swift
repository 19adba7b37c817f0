internal import Foundation
public import Postgres
internal import SQLText
public import StreamCore

/// The schema of one version of a projection: made once, with `schema.sql`, and registered in `sql_projections`.
public struct VersionSchema: Sendable {
    /// Why a version cannot be run.
    public struct Refusal: Error, Sendable, CustomStringConvertible, RemediableError {
        public let description: String
        public var remedy: Remedy { .changeSetup }
    }

    private let folder: ProjectionFolder
    private let role: String?
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

    /// The projection, once the version is prepared.
    public var projection: SQLProjection { SQLProjection(folder, role: role) }

    /// Makes the schema if it is not there, and checks each statement in it.
    ///
    /// Several daemons may do so at once: they wait for each other.
    ///
    /// - Parameter connection: its search path holds the tables of the runtime. It must not be in a transaction.
    /// - Throws: ``Refusal`` when the schema belongs to another `schema.sql`; ``InvalidFolder`` with what PostgreSQL
    ///   says of the files; `PostgresError`.
    public func prepare(_ connection: PostgresConnection) async throws {
        try await install(connection)
        try await check(connection)
    }

    /// Drops the version's tables and its registration, if they are there; for trials.
    func drop(_ connection: PostgresConnection) async throws {
        try await connection.withTransaction { transaction in
            let registered = try await transaction.execute(
                .unprepared("DELETE FROM sql_projections WHERE name = $1 AND version = $2 RETURNING schema_name"),
                Parameters {
                    $0.append(folder.name)
                    $0.append(Int32(folder.version))
                })
            guard registered.rowCount > 0 else { return }
            try await transaction.execute(
                script: "DROP SCHEMA IF EXISTS \(SQLIdentifier.quoted(folder.schemaName)) CASCADE")
        }
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
            let changed = try await registration.changedFiles
            if changed.contains("schema.sql") { throw definitionChanged(changed) }
            return changed
        }
        try await check(connection)
        try await connection.withTransaction { transaction in
            let registration = VersionRegistration(folder, transaction)
            try await registration.lock()
            try await registration.record()
        }
        return changed
    }

    // MARK: the schema

    private func install(_ connection: PostgresConnection) async throws {
        try await connection.withTransaction { transaction in
            let registration = VersionRegistration(folder, transaction)
            try await registration.lock()
            guard try await registration.isKnown else {
                try await create(transaction)
                try await registration.insert()
                return try await letRead(transaction)
            }
            let changed = try await registration.changedFiles
            guard changed.isEmpty else { throw definitionChanged(changed) }
            try await registration.record()
            try await letRead(transaction)
        }
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

    private func create(_ transaction: PostgresTransaction) async throws {
        let schema = SQLIdentifier.quoted(folder.schemaName)
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
        if let role { try await makeRole(role, transaction) }
        let owner = role.map { " AUTHORIZATION \(SQLIdentifier.quoted($0))" } ?? ""
        try await transaction.execute(script: "CREATE SCHEMA \(schema)\(owner)")
        let session = VersionSession(schema: folder.schemaName, role: role)
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
                script: "ALTER TABLE \(schema).\(SequenceTable.name) OWNER TO CURRENT_USER")
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

    /// Prepares each statement as it will run, and undoes it.
    private func check(_ connection: PostgresConnection) async throws {
        var problems: [FolderProblem] = []
        let session = VersionSession(schema: folder.schemaName, role: role)
        for handler in folder.handlers {
            for statement in handler.statements {
                let types = statement.parameterTypes(folder.mode).joined(separator: ", ")
                let prefix = "PREPARE millrace_check\(types.isEmpty ? "" : " (\(types))") AS "
                do {
                    try await connection.withTransaction { transaction in
                        _ = try await transaction.pipeline([session.enter])
                        try await transaction.execute(script: prefix + statement.statement.sql)
                        try await transaction.execute(script: "DEALLOCATE millrace_check")
                    }
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
