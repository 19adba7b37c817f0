public import StreamCore

/// One version of a read model: a row of `projection_versions`.
public struct ModelVersion: Sendable, Hashable {
    public enum State: String, Sendable, Hashable {
        /// The version is filled beside the live one. Readers do not see it.
        case building
        /// Readers see the version, and the daemons keep it up to date.
        case live
        /// Another version has replaced it. No process updates it any more.
        case superseded
    }

    public let name: String
    /// The number, from 1.
    public let version: Int
    /// The schema that contains all its tables.
    public let schema: String
    /// The number of the definition that created the tables: ``ReadModel/structure``.
    public let structure: Int
    public let state: State
    /// Maximum number of records per second that its rebuild applies; nil for no limit.
    public var recordsPerSecond: Int?
    public var startedAt: Timestamp
    /// The time of the last verification that found no difference in it; nil if there was none.
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
