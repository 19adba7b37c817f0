/// Which queries are answered that are files of SQL, and how.
public struct SQLQueryConfiguration: Sendable, Hashable {
    /// Folders of `NAME.sql`; without any there are none.
    public var folders: [String] = []
    /// The role that queries run as; nil for the session's own.
    public var role: String?
    /// Bytes of answers that are kept for others who ask the same; 0 for none.
    public var cacheBytes = 0

    public init() {}
}
