public import StreamCore

/// One version of a read model: a row of `projection_versions`.
public struct ModelVersion: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        /// It is filled beside the live version, and readers do not see it.
        case building
        /// Readers see it, and the daemons keep it.
        case live
        /// Another version took its place. Nobody keeps it.
        case superseded
    }

    public let name: String
    /// From 1.
    public let version: Int
    /// The schema that holds all its tables.
    public let schema: String
    /// The definition that made the tables: ``ReadModel/structure``.
    public let structure: Int
    public let state: State
    /// Most records a second that its rebuild applies; nil for any number.
    public var recordsPerSecond: Int?
    public var startedAt: Timestamp
    /// When a verification found no difference in it last.
    public var verifiedAt: Timestamp?
    public var promotedAt: Timestamp?

    public init(
        name: String, version: Int, schema: String, structure: Int, state: State,
        startedAt: Timestamp = Timestamp(microseconds: 0)
    ) {
        self.name = name
        self.version = version
        self.schema = schema
        self.structure = structure
        self.state = state
        self.startedAt = startedAt
    }
}

extension ModelVersion: CustomStringConvertible {
    public var description: String { "version \(version) of \(name)" }
}
