internal import Postgres

/// The versions that commands apply in their own transactions: the table `inline_projections`, if it exists.
enum InlineVersions {
    /// - Returns: the suffix of the topics of a version's events; nil if commands do not apply the version.
    static func topicSuffix(
        of folder: ProjectionFolder, in transaction: PostgresTransaction
    ) async throws(PostgresError) -> String? {
        let exists = try await transaction.execute(.unprepared("SELECT to_regclass('inline_projections') IS NOT NULL"))
        guard try exists.bool(0, 0) else { return nil }
        let found = try await transaction.execute(
            .unprepared("SELECT topic_suffix FROM inline_projections WHERE name = $1 AND version = $2"),
            Parameters {
                $0.append(folder.name)
                $0.append(Int32(folder.version))
            })
        return found.rowCount == 0 ? nil : try found.string(0, 0)
    }

    /// A statement for a daemon's transaction. It fails if commands apply the version.
    static func expectDaemon(of folder: ProjectionFolder) -> (Statement, Parameters) {
        (
            "SELECT millrace_expect_daemon($1, $2)",
            Parameters {
                $0.append(folder.name)
                $0.append(Int32(folder.version))
            }
        )
    }

    /// Ends the application of versions by commands, and waits for the current commands to end.
    ///
    /// - Parameters:
    ///   - shown: the version that readers use from now on. Commands may continue to apply this version, but no other
    ///     one.
    ///   - dropped: a version that is about to be dropped.
    static func leave(
        _ name: String, shown: Int? = nil, dropped: Int? = nil, in transaction: PostgresTransaction
    ) async throws(PostgresError) {
        try await transaction.execute(
            .unprepared("SELECT millrace_leave_inline($1, $2, $3)"),
            Parameters {
                $0.append(name)
                $0.append(shown.map { Int32($0) })
                $0.append(dropped.map { Int32($0) })
            })
    }

    static func refusal(_ folder: ProjectionFolder) -> VersionSchema.Refusal {
        VersionSchema.Refusal(
            description: """
                version \(folder.version) of \(folder.name) is applied by command-service in the transactions of \
                commands: do not run sql-projection for it; you may build a higher version beside it
                """)
    }
}
