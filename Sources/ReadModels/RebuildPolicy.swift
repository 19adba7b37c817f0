/// Decides which steps a rebuild may take: start, run, promote, retire, and abort instead of promote.
///
/// A pure value, created from the rows of the database. Each step is one transaction there. A crash leaves the state
/// before or after the step, and each step may be repeated.
///
/// ```
/// (no version) ── start ──▶ building ── promote ──▶ live ── promote of the next ──▶ superseded ── retire ──▶ (dropped)
///                               └── abort ──▶ (dropped)
/// ```
public struct RebuildPolicy: Sendable {
    public let model: ReadModel
    /// The existing versions, by number.
    public let versions: [ModelVersion]

    public init(_ model: ReadModel, _ versions: [ModelVersion]) {
        self.model = model
        self.versions = versions.sorted { $0.version < $1.version }
    }

    public var live: ModelVersion? { versions.first { $0.state == .live } }
    public var building: ModelVersion? { versions.first { $0.state == .building } }

    /// The effect of starting a rebuild.
    public enum Start: Equatable, Sendable {
        /// A version with this number is created.
        case create(Int)
        /// The rebuild of this version continues where it stopped.
        case resume(ModelVersion)
    }

    /// - Parameter isPlain: whether no start was specified. A rebuild that was started before then continues.
    public func start(isPlain: Bool) throws(RebuildRefusal) -> Start {
        guard let building else { return .create(try next) }
        if let number = model.number, number != building.version {
            throw RebuildRefusal(
                .alreadyBuilding,
                "\(building) is being built: promote or abort it before you start version \(number)")
        }
        guard isPlain else {
            throw RebuildRefusal(
                .alreadyBuilding,
                """
                \(building) is already being built: abort it to start from another position, or start without a \
                position to continue it
                """)
        }
        try requireOwnStructure(building)
        return .resume(building)
    }

    /// The number of the next version. It is higher than that of every existing version, so daemons of a version that
    /// was superseded and dropped never create that version again.
    private var next: Int {
        get throws(RebuildRefusal) {
            guard let number = model.number else { return (versions.last?.version ?? 0) + 1 }
            if let last = versions.last, number <= last.version {
                throw RebuildRefusal(
                    .notNewer,
                    """
                    \(last) is already \(last.state): a new version needs a higher number, but the given version is \
                    \(number)
                    """)
            }
            return number
        }
    }

    /// The version that a promotion makes live.
    ///
    /// - Parameter isForced: whether a version may become live that no verification has found equal.
    public func promotion(isForced: Bool) throws(RebuildRefusal) -> ModelVersion {
        guard let building else {
            throw RebuildRefusal(.notBuilding, "no version of \(model.name) is being built")
        }
        try requireOwnStructure(building)
        guard isForced || building.verifiedAt != nil else {
            throw RebuildRefusal(.notVerified, "\(building) was not verified")
        }
        return building
    }

    /// The version that an abort drops.
    public func abortion() throws(RebuildRefusal) -> ModelVersion {
        guard let building else {
            throw RebuildRefusal(.notBuilding, "no version of \(model.name) is being built")
        }
        return building
    }

    /// The versions that no reader sees any more.
    public func retirement() throws(RebuildRefusal) -> [ModelVersion] {
        let superseded = versions.filter { $0.state == .superseded }
        guard !superseded.isEmpty else {
            throw RebuildRefusal(.nothingToRetire, "no version of \(model.name) was superseded")
        }
        return superseded
    }

    private func requireOwnStructure(_ version: ModelVersion) throws(RebuildRefusal) {
        if let number = model.number, number != version.version {
            throw RebuildRefusal(
                .otherStructure, "\(version) is being built, but the given version is \(number)")
        }
        if let structure = model.structure, structure != version.structure {
            throw RebuildRefusal(
                .otherStructure,
                """
                the tables of \(version) have definition \(version.structure), but this program has definition \
                \(structure): use the release that created the version, or abort it
                """)
        }
    }
}
