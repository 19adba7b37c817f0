/// A numbered SQL file.
public struct Migration: Sendable, Hashable {
    /// The name of the set that the migration belongs to: `outbox`, `orders`, …
    public let set: String
    /// The number within the set, from 1.
    public let number: Int
    /// A short description of what the migration does.
    public let name: String
    /// The content of the file.
    public let sql: [UInt8]

    /// - Parameters:
    ///   - fileName: `<set>_<NNNN>_<name>`, with or without `.sql`. The name of a set may contain hyphens but no
    ///     underscore.
    ///   - sql: the content of the file.
    /// - Returns: nil if the file name has another form.
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
    /// For example `outbox 1 (tables)`.
    public var description: String { "\(set) \(number) (\(name))" }
}
