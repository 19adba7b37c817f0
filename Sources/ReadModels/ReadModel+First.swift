public import Postgres

extension ReadModel {
    /// Creates the first version if there is none. It is live at once, because there is no other version to read.
    ///
    /// - Parameter connection: not in a transaction. Its search path begins with the schema of the runtime's tables.
    /// - Returns: nil if there were versions before. Nothing is changed then.
    /// - Throws: `PostgresError`, `TransactionError`; the errors of ``VersionTables``.
    public func makeFirst(on connection: PostgresConnection) async throws -> ModelVersion? {
        try await connection.withTransaction { transaction in
            try await transaction.execute(VersionTable.lock, Parameters { $0.append(name) })
            guard try await VersionTable.versions(of: name, in: transaction).isEmpty else { return nil }
            let number = number ?? 1
            let schema = try await tables.make(number, in: transaction)
            let version = ModelVersion(
                name: name, version: number, schema: schema, structure: structure ?? number, state: .live)
            try await transaction.execute(
                VersionTable.insertLive,
                Parameters {
                    $0.append(name)
                    $0.append(Int32(number))
                    $0.append(schema)
                    $0.append(Int32(version.structure))
                })
            try await tables.show(version, in: transaction)
            return version
        }
    }

    /// Drops all versions and their rows. Offsets stay. It is meant for trials in a separate database.
    public func dropAll(on connection: PostgresConnection) async throws {
        try await connection.withTransaction { transaction in
            try await transaction.execute(VersionTable.lock, Parameters { $0.append(name) })
            for version in try await VersionTable.versions(of: name, in: transaction) {
                try await tables.drop(version, in: transaction)
                try await transaction.execute(
                    VersionTable.delete,
                    Parameters {
                        $0.append(name)
                        $0.append(Int32(version.version))
                    })
            }
        }
    }
}
