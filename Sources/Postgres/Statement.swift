/// An SQL statement with parameters `$1`, `$2`, …
///
/// Declare it once, as a constant. A connection prepares it before its first execution and finds it again by a hash
/// that is computed only once, here.
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

    /// A statement that the server parses at each execution, for statements that run rarely or are built at run time.
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
