public import StreamCore

/// The state of one migration in a database.
public struct MigrationStatus: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        /// It is applied, with the same content as in this program.
        case applied
        /// It is not applied.
        case missing
        /// It is applied, with another content than in this program.
        case changed
        /// It is applied, but this program does not have it. The database is newer.
        case unknown
    }

    public let set: String
    public let number: Int
    public let name: String
    public let state: State
    /// The time when it was applied; nil if it is missing.
    public let appliedAt: Timestamp?
    /// The database user who applied it; nil if it is missing.
    public let appliedBy: String?
}

extension MigrationStatus: CustomStringConvertible {
    public var description: String { "\(set) \(number) (\(name)): \(state.rawValue)" }
}
