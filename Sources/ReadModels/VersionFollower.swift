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
        /// This one, which is made if it is not there and nothing else is in the way.
        case own(Int)
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
        /// The version is made, and then kept as the facts say.
        case make(version: Int)
        /// Nothing, until the consumer is resumed.
        case paused(ConsumerPauses.Pause)
        /// Nothing, for a reason that somebody else must end.
        case wait(String)
    }

    private let model: ReadModel
    private let wish: Wish
    /// What is done now.
    public private(set) var work: Work?
    /// Whether the wished version was there once.
    private var wasThere = false

    public init(_ model: ReadModel, _ wish: Wish) {
        self.model = model
        self.wish = wish
    }

    /// - Returns: what is to be done instead of what is done now; nil when nothing changes.
    public mutating func handle(_ facts: Facts) -> Work? {
        let next = decide(facts)
        if case .keep = next { wasThere = true }
        if next == work { return nil }
        work = next
        return next
    }

    private func decide(_ facts: Facts) -> Work {
        if let pause = facts.pause { return .paused(pause) }
        let version = facts.versions.first { version in
            switch wish {
            case .live: version.state == .live
            case .version(let number), .own(let number): version.version == number
            }
        }
        guard let version else { return absence(facts.versions) }
        guard version.state != .superseded else { return Self.superseded(version.version, by: facts.versions) }
        if let structure = model.structure, structure != version.structure {
            return .wait(
                """
                version \(version.version) was made by definition \(version.structure) of its tables, and this program has \
                definition \(structure): run the release that made it, or rebuild
                """)
        }
        let isBuilding = version.state == .building
        return .keep(
            version: version.version, schema: version.schema, isBuilding: isBuilding,
            recordsPerSecond: isBuilding ? version.recordsPerSecond : nil)
    }

    /// What is done when there is no version that is wished for.
    private func absence(_ versions: [ModelVersion]) -> Work {
        switch wish {
        case .live: return .wait("no version is live")
        case .version(let number): return .wait("there is no version \(number)")
        case .own(let number):
            if let last = versions.last(where: { $0.state != .building }), last.version > number {
                return Self.superseded(number, by: versions)
            }
            // Whoever aborts it does not want it back at once.
            if wasThere {
                return .wait("version \(number) was aborted: restart the daemon to build it anew")
            }
            if let building = versions.first(where: { $0.state == .building }) {
                return .wait(
                    """
                    version \(building.version) is being built: version \(number) is begun when that is promoted or \
                    aborted
                    """)
            }
            return .make(version: number)
        }
    }

    private static func superseded(_ number: Int, by versions: [ModelVersion]) -> Work {
        let live = versions.first { $0.state == .live }.map { ": version \($0.version) is live" }
        return .wait("version \(number) was superseded\(live ?? "")")
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
