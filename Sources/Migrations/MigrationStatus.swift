public import StreamCore

/// How one migration stands in a database.
public struct MigrationStatus: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        /// It is there, with the same contents.
        case applied
        /// It is not there.
        case missing
        /// It was applied with another content than that of this program.
        case changed
        /// It is there, and this program does not know it: the database is newer.
        case unknown
    }

    public let set: String
    public let number: Int
    public let name: String
    public let state: State
    /// When it was applied; nil when it is missing.
    public let appliedAt: Timestamp?
    /// The database user who applied it; nil when it is missing.
    public let appliedBy: String?
}

extension MigrationStatus: CustomStringConvertible {
    public var description: String { "\(set) \(number) (\(name)): \(state.rawValue)" }
}
