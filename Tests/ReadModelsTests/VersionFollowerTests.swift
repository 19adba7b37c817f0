import ReadModels
import StreamCore
import Testing

/// What a daemon does for each content of the table of versions.
struct VersionFollowerTests {
    private static let model = ReadModel(name: "m", structure: 1, script: "")

    private static func version(_ number: Int, _ state: ModelVersion.State, structure: Int = 1) -> ModelVersion {
        ModelVersion(name: "m", version: number, schema: "m_v\(number)", structure: structure, state: state)
    }

    private static func facts(_ versions: ModelVersion..., pause: ConsumerPauses.Pause? = nil) -> VersionFollower.Facts
    {
        VersionFollower.Facts(versions: versions, pause: pause)
    }

    private static func keep(_ number: Int, isBuilding: Bool = false, rate: Int? = nil) -> VersionFollower.Work {
        .keep(version: number, schema: "m_v\(number)", isBuilding: isBuilding, recordsPerSecond: rate)
    }

    @Test func itKeepsWhateverIsLive() {
        var follower = VersionFollower(Self.model, .live)
        let first = Self.version(1, .live)
        #expect(follower.handle(Self.facts(first)) == Self.keep(1))
        #expect(follower.handle(Self.facts(first, Self.version(2, .building))) == nil)
        #expect(follower.handle(Self.facts(Self.version(1, .superseded), Self.version(2, .live))) == Self.keep(2))
        #expect(follower.handle(Self.facts(Self.version(2, .live))) == nil)
    }

    @Test func itKeepsTheVersionThatItIsTold() {
        var follower = VersionFollower(Self.model, .version(2))
        var building = Self.version(2, .building)
        building.recordsPerSecond = 50
        #expect(follower.handle(Self.facts(Self.version(1, .live))) == .wait("version 2 does not exist"))
        #expect(
            follower.handle(Self.facts(Self.version(1, .live), building)) == Self.keep(2, isBuilding: true, rate: 50))
        // When version 2 is live, the daemon keeps it like any other version, without a rate limit.
        #expect(follower.handle(Self.facts(Self.version(2, .live))) == Self.keep(2))
        #expect(follower.handle(Self.facts(Self.version(2, .superseded))) == .wait("version 2 was superseded"))
    }

    /// The whole life of a version that its daemon creates.
    @Test func itMakesItsOwnVersionOnce() {
        let live = Self.version(1, .live)
        var follower = VersionFollower(ReadModel(name: "m", structure: 2, script: ""), .own(2))
        func version(_ state: ModelVersion.State) -> ModelVersion { Self.version(2, state, structure: 2) }
        let other = Self.facts(live, Self.version(3, .building, structure: 3))
        guard case .wait(let reason)? = follower.handle(other) else {
            Issue.record("two versions are built at once")
            return
        }
        #expect(reason.hasPrefix("version 3 is being built: version 2 begins after"))
        #expect(follower.handle(Self.facts(live)) == .make(version: 2))
        #expect(follower.handle(Self.facts(live)) == nil)
        #expect(follower.handle(Self.facts(live, version(.building))) == Self.keep(2, isBuilding: true))
        // An operator aborted the version. The daemon does not create it again by itself.
        #expect(
            follower.handle(Self.facts(live)) == .wait("version 2 was aborted: restart the daemon to build it again"))
        #expect(follower.handle(Self.facts(live, version(.building))) == Self.keep(2, isBuilding: true))
        #expect(follower.handle(Self.facts(Self.version(1, .superseded), version(.live))) == Self.keep(2))
        let superseded = VersionFollower.Work.wait("version 2 was superseded: version 4 is live")
        #expect(follower.handle(Self.facts(version(.superseded), Self.version(4, .live))) == superseded)
        // The version was dropped. A daemon that was started later asks for it again.
        #expect(follower.handle(Self.facts(Self.version(4, .live))) == nil)
        var late = VersionFollower(Self.model, .own(2))
        #expect(late.handle(Self.facts(Self.version(4, .live))) == superseded)
        var first = VersionFollower(Self.model, .own(2))
        #expect(first.handle(Self.facts()) == .make(version: 2))
    }

    @Test func aPauseGoesBeforeEverything() {
        let pause = ConsumerPauses.Pause(consumer: "m", since: Timestamp(microseconds: 0), by: "me", reason: "why")
        var follower = VersionFollower(Self.model, .live)
        let live = Self.version(1, .live)
        #expect(follower.handle(Self.facts(live, pause: pause)) == .paused(pause))
        #expect(follower.handle(Self.facts(live, pause: pause)) == nil)
        #expect(follower.handle(Self.facts(live)) == Self.keep(1))
    }

    @Test func tablesOfAnotherDefinitionAreLeftAlone() {
        var follower = VersionFollower(Self.model, .live)
        guard case .wait(let reason)? = follower.handle(Self.facts(Self.version(3, .live, structure: 2))) else {
            Issue.record("a version of another definition is kept")
            return
        }
        #expect(reason.contains("definition 2"))
    }
}
