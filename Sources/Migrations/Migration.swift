/// One numbered file of SQL.
public struct Migration: Sendable, Hashable {
    /// The set it belongs to: `outbox`, `orders`, …
    public let set: String
    /// 1, 2, … within the set.
    public let number: Int
    /// What it does, in a word or a few.
    public let name: String
    /// The file's bytes.
    public let sql: [UInt8]

    /// - Parameter fileName: `<set>_<NNNN>_<name>`, with or without `.sql`; a set's name has hyphens and no underscore.
    /// - Returns: nil when the name is of another form.
    public init?(fileName: String, sql: [UInt8]) {
        let stem = fileName.hasSuffix(".sql") ? String(fileName.dropLast(4)) : fileName
        let parts = stem.split(separator: "_", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, !parts[2].isEmpty, parts[1].utf8.count == 4,
            let number = Int(parts[1]), number > 0
        else { return nil }
        set = String(parts[0])
        self.number = number
        name = String(parts[2])
        self.sql = sql
    }
}

extension Migration: CustomStringConvertible {
    /// `outbox 1 (tables)`.
    public var description: String { "\(set) \(number) (\(name))" }
}
