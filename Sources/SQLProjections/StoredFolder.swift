public import Postgres
internal import StreamCore

/// The files of versions that the database stores in the table `sql_projection_files`.
public enum StoredFolder {
    /// The folder of a version, from the database.
    ///
    /// - Parameter connection: its search path must contain the tables of the runtime.
    /// - Throws: ``VersionSchema/Refusal`` if the database does not have the files, or they were changed there;
    ///   ``SQLText/InvalidFolder`` if this program cannot parse them; `PostgresError`.
    public static func load(
        _ name: String, version: Int, on connection: PostgresConnection
    ) async throws -> ProjectionFolder {
        let files = try await files(name, version: version, on: connection)
        return try ProjectionFolder(files)
    }

    /// The same in a transaction.
    static func load(
        _ name: String, version: Int, in transaction: PostgresTransaction
    ) async throws -> ProjectionFolder {
        let rows = try await transaction.execute(statement, key(name, version))
        return try ProjectionFolder(try files(name, version, rows))
    }

    /// The files alone.
    ///
    /// - Throws: the errors of ``load(_:version:on:)``.
    public static func files(
        _ name: String, version: Int, on connection: PostgresConnection
    ) async throws -> FolderFiles {
        try files(name, version, try await connection.execute(statement, key(name, version)))
    }

    private static let statement: Statement =
        "SELECT path, content, digest FROM sql_projection_files WHERE name = $1 AND version = $2 ORDER BY path"

    private static func key(_ name: String, _ version: Int) -> Parameters {
        Parameters {
            $0.append(name)
            $0.append(Int32(version))
        }
    }

    private static func files(_ name: String, _ version: Int, _ rows: QueryResult) throws -> FolderFiles {
        guard rows.rowCount > 0 else {
            throw VersionSchema.Refusal(
                description: """
                    the database does not have the files of version \(version) of \(name): give its folder, or start \
                    sql-projection with it once
                    """)
        }
        var files: [FolderFiles.File] = []
        for row in 0..<rows.rowCount {
            let file = FolderFiles.File(name: try rows.string(row, 0), text: try rows.string(row, 1))
            guard file.digest == [UInt8](copying: rows.bytes(row, 2)) else {
                throw VersionSchema.Refusal(
                    description: """
                        \(file.name) of version \(version) of \(name) was changed in the database, in table \
                        sql_projection_files: start sql-projection with the version's folder to restore it
                        """)
            }
            files.append(file)
        }
        return FolderFiles(origin: "\(name)@\(version)", files)
    }

    /// The names of the SQL projections that commands apply in their own transactions.
    public static func inline(on connection: PostgresConnection) async throws -> Set<String> {
        let exists = try await connection.execute("SELECT to_regclass('inline_projections') IS NOT NULL")
        guard try exists.bool(0, 0) else { return [] }
        let rows = try await connection.execute("SELECT name FROM inline_projections")
        return Set(try (0..<rows.rowCount).map { try rows.string($0, 0) })
    }

    /// The live version of each SQL projection, ordered by name. Empty if the database has no tables for them.
    public static func live(on connection: PostgresConnection) async throws -> [(name: String, version: Int)] {
        let exists = try await connection.execute("SELECT to_regclass('sql_projection_files') IS NOT NULL")
        guard try exists.bool(0, 0) else { return [] }
        let rows = try await connection.execute(
            """
            SELECT v.name, v.version FROM projection_versions AS v JOIN sql_projections AS s USING (name, version)
            WHERE v.state = 'live' ORDER BY v.name
            """)
        return try (0..<rows.rowCount).map { (try rows.string($0, 0), Int(try rows.int32($0, 1))) }
    }
}
