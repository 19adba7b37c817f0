internal import Daemon
internal import OrderQueries
internal import SQLQueries
internal import SQLText
internal import Settings

/// `[sql_queries]`: the queries in SQL files.
struct SQLQuerySettings: Sendable {
    let configuration: SQLQueryConfiguration

    /// - Parameter builtInPaths: the paths that files may not take.
    init(from reader: SettingsReader, besides builtInPaths: [String]) {
        let section = reader.section(
            "sql_queries",
            "Queries that are files of SQL, answered at /v1/q/NAME and at their own paths; docs/sql-queries.md.")
        var sql = SQLQueryConfiguration()
        sql.folders = section.strings(
            "folders", default: [],
            """
            Folders of queries, NAME.sql each. At SIGHUP the service reads them again. If one of them is invalid, it \
            keeps all that it has.
            """)
        sql.role = section.optionalString(
            "role", example: "millrace_queries",
            """
            The database role that queries run as, which the database user must be a member of. It must be able to \
            read the read models, for example as a role of sql_projections.readers. Give it no other rights.
            """)
        sql.cacheBytes =
            section.integer(
                "cache_mb", default: 0, in: 0...65_536,
                """
                Memory for answers of queries whose files say @cache, in MiB; 0 for none. An answer is kept for the \
                file's time at most, and until pipeline_interval_ms after a read model of the query has changed.
                """) << 20
        do {
            _ = try QueryFolders(sql.folders, besides: builtInPaths)
        } catch {
            for problem in error.problems { section.reject("folders", "\(problem)") }
        }
        configuration = sql
    }
}
