import ReadModels
import StreamCore
import Testing

/// What a daemon does, by what the table of versions says.
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
        #expect(follower.handle(Self.facts(Self.version(1, .live))) == .wait("there is no version 2"))
        #expect(
            follower.handle(Self.facts(Self.version(1, .live), building)) == Self.keep(2, isBuilding: true, rate: 50))
        // As the live one it is kept as any other, at any rate.
        #expect(follower.handle(Self.facts(Self.version(2, .live))) == Self.keep(2))
        #expect(follower.handle(Self.facts(Self.version(2, .superseded))) == .wait("version 2 was superseded"))
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
