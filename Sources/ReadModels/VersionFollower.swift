public import Postgres

/// Decides what a daemon does for a read model: which version it keeps, or why it keeps none. A pure value, told what
/// the database says.
public struct VersionFollower: Sendable {
    /// Which version a daemon is to keep.
    public enum Wish: Sendable, Equatable {
        /// Whichever is live.
        case live
        /// This one, while it is being built and when it is live.
        case version(Int)
    }

    /// What the database says.
    public struct Facts: Sendable, Equatable {
        public var versions: [ModelVersion]
        public var pause: ConsumerPauses.Pause?

        public init(versions: [ModelVersion], pause: ConsumerPauses.Pause?) {
            self.versions = versions
            self.pause = pause
        }
    }

    /// What is done until the facts change.
    public enum Work: Sendable, Equatable {
        /// The version is kept; a building one fails on bad events instead of passing them.
        case keep(version: Int, schema: String, isBuilding: Bool, recordsPerSecond: Int?)
        /// Nothing, until the consumer is resumed.
        case paused(ConsumerPauses.Pause)
        /// Nothing, for a reason that somebody else must end.
        case wait(String)
    }

    private let model: ReadModel
    private let wish: Wish
    /// What is done now.
    public private(set) var work: Work?

    public init(_ model: ReadModel, _ wish: Wish) {
        self.model = model
        self.wish = wish
    }

    /// - Returns: what is to be done instead of what is done now; nil when nothing changes.
    public mutating func handle(_ facts: Facts) -> Work? {
        let next = decide(facts)
        if next == work { return nil }
        work = next
        return next
    }

    private func decide(_ facts: Facts) -> Work {
        if let pause = facts.pause { return .paused(pause) }
        let version = facts.versions.first { version in
            switch wish {
            case .live: version.state == .live
            case .version(let number): version.version == number
            }
        }
        guard let version else {
            if case .version(let number) = wish { return .wait("there is no version \(number)") }
            return .wait("no version is live")
        }
        guard version.state != .superseded else { return .wait("version \(version.version) was superseded") }
        guard version.structure == model.structure else {
            return .wait(
                """
                version \(version.version) was made by definition \(version.structure) of its tables, and this program has \
                definition \(model.structure): run the release that made it, or rebuild
                """)
        }
        let isBuilding = version.state == .building
        return .keep(
            version: version.version, schema: version.schema, isBuilding: isBuilding,
            recordsPerSecond: isBuilding ? version.recordsPerSecond : nil)
    }
}

extension VersionFollower.Facts {
    /// Reads what the database says, in one round trip.
    public static func read(
        of name: String, on connection: PostgresConnection
    ) async throws(PostgresError) -> VersionFollower.Facts {
        let parameters = Parameters { $0.append(name) }
        let results = try await connection.pipeline([
            (VersionTable.select, parameters), (ConsumerPauses.selectOne, parameters),
        ])
        let pause = results[1].rowCount > 0 ? try ConsumerPauses.pause(in: results[1], 0) : nil
        return VersionFollower.Facts(versions: try VersionTable.versions(in: results[0]), pause: pause)
    }
}
