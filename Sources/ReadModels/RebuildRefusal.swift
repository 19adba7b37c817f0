public import StreamCore

/// Why a step of a rebuild was refused. Nothing was changed.
public struct RebuildRefusal: Error, Hashable, Sendable, CustomStringConvertible, RemediableError {
    public enum Code: Hashable, Sendable {
        /// The database has no such read model.
        case unknownModel
        /// No version is being built.
        case notBuilding
        /// A version is being built in another way than requested.
        case alreadyBuilding
        /// Kafka no longer has the beginning of a topic, or has no such topic.
        case historyIsIncomplete
        /// The version has not applied everything that the live one has applied.
        case behind
        /// No verification has found the version equal to the events.
        case notVerified
        /// No version waits to be dropped.
        case nothingToRetire
        /// Readers held the views of the read model for too long.
        case readersInTheWay
        /// The views of the version do not match those that readers use.
        case otherViews
        /// The version's number is not higher than the live one's.
        case notNewer
        /// The version was created by a definition that this program does not have.
        case otherStructure
    }

    public let code: Code
    public let description: String
    public var remedy: Remedy { .changeSetup }

    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
