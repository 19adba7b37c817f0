public import Postgres

/// Decides what a daemon does for a read model: which version it keeps up to date, or why it keeps none. A pure value
/// that receives the rows of the database.
public struct VersionFollower: Sendable {
    /// The version that a daemon should keep up to date.
    public enum Wish: Sendable, Equatable {
        /// The live version, whatever its number is.
        case live
        /// The version with this number, while it is being built and while it is live.
        case version(Int)
        /// The version with this number. The daemon creates it if it does not exist and no other version prevents this.
        case own(Int)
    }

    /// The state in the database.
    public struct Facts: Sendable, Equatable {
        public var versions: [ModelVersion]
        public var pause: ConsumerPauses.Pause?

        public init(versions: [ModelVersion], pause: ConsumerPauses.Pause?) {
            self.versions = versions
            self.pause = pause
        }
    }

    /// The work of the daemon until the state changes.
    public enum Work: Sendable, Equatable {
        /// Keep the version up to date. A version that is being built stops at an event that cannot be applied, instead
        /// of passing it.
        case keep(version: Int, schema: String, isBuilding: Bool, recordsPerSecond: Int?)
        /// Create the version. The next state of the database then decides.
        case make(version: Int)
        /// Do nothing until the consumer is resumed.
        case paused(ConsumerPauses.Pause)
        /// Do nothing until somebody else removes this reason.
        case wait(String)
    }

    private let model: ReadModel
    private let wish: Wish
    /// The current work.
    public private(set) var work: Work?
    /// Whether the requested version existed before.
    private var wasThere = false

    public init(_ model: ReadModel, _ wish: Wish) {
        self.model = model
        self.wish = wish
    }

    /// - Returns: the new work; nil if the work does not change.
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
                the tables of version \(version.version) have definition \(version.structure), but this program has \
                definition \(structure): run the release that created the version, or rebuild
                """)
        }
        let isBuilding = version.state == .building
        return .keep(
            version: version.version, schema: version.schema, isBuilding: isBuilding,
            recordsPerSecond: isBuilding ? version.recordsPerSecond : nil)
    }

    /// The work if the requested version does not exist.
    private func absence(_ versions: [ModelVersion]) -> Work {
        switch wish {
        case .live: return .wait("no version is live")
        case .version(let number): return .wait("version \(number) does not exist")
        case .own(let number):
            if let last = versions.last(where: { $0.state != .building }), last.version > number {
                return Self.superseded(number, by: versions)
            }
            // Somebody aborted the version and does not want it to be created again at once.
            if wasThere {
                return .wait("version \(number) was aborted: restart the daemon to build it again")
            }
            if let building = versions.first(where: { $0.state == .building }) {
                return .wait(
                    """
                    version \(building.version) is being built: version \(number) begins after version \
                    \(building.version) is promoted or aborted
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
    /// Reads the state from the database, in one round trip.
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
