/// A statement of SQL with parameters `$1`, `$2`, …
///
/// Make it once, as a constant: a connection prepares it the first time it runs it, and finds it again by a hash that
/// is taken here.
public struct Statement: Sendable, Hashable {
    /// The SQL text.
    public let sql: String
    /// Whether connections prepare it and keep it prepared.
    public let isPrepared: Bool
    private let fingerprint: Int

    /// A statement that connections prepare on first use.
    public init(_ sql: String) {
        self.init(sql, isPrepared: true)
    }

    /// A statement that runs rarely, or whose text is made at run time: parsed each time, nothing kept.
    public static func unprepared(_ sql: String) -> Statement {
        Statement(sql, isPrepared: false)
    }

    private init(_ sql: String, isPrepared: Bool) {
        self.sql = sql
        self.isPrepared = isPrepared
        fingerprint = sql.hashValue
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(fingerprint)
    }
}

extension Statement: ExpressibleByStringLiteral {
    public init(stringLiteral sql: String) {
        self.init(sql)
    }
}
