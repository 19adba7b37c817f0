/// The settings of queries in SQL.
public struct SQLQueryConfiguration: Sendable, Hashable {
    /// Folders with files `NAME.sql`. Without a folder there are no queries.
    public var folders: [String] = []
    /// The role that runs the queries; nil for the session's own role.
    public var role: String?
    /// Maximum size of the cached answers, in bytes; 0 for no cache.
    public var cacheBytes = 0

    public init() {}
}
