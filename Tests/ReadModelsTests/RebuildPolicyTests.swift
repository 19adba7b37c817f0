import ReadModels
import Testing

/// Which step of a rebuild may follow which.
struct RebuildPolicyTests {
    private static let model = ReadModel(name: "m", structure: 2, script: "")

    private static func version(_ number: Int, _ state: ModelVersion.State, structure: Int = 2) -> ModelVersion {
        ModelVersion(name: "m", version: number, schema: "m_v\(number)", structure: structure, state: state)
    }

    private static func policy(_ versions: ModelVersion...) -> RebuildPolicy { RebuildPolicy(model, versions) }

    private func refusal(_ step: () throws -> Void) -> RebuildRefusal.Code? {
        #expect(throws: RebuildRefusal.self, performing: step)?.code
    }

    @Test func aStartMakesTheNextVersionOrGoesOn() throws {
        let live = Self.version(1, .live)
        let building = Self.version(2, .building)
        #expect(try Self.policy().start(isPlain: true) == .create(1))
        #expect(try Self.policy(live).start(isPlain: false) == .create(2))
        #expect(
            try Self.policy(Self.version(1, .superseded), Self.version(2, .live)).start(isPlain: true) == .create(3))
        #expect(try Self.policy(live, building).start(isPlain: true) == .resume(building))
        #expect(refusal { _ = try Self.policy(live, building).start(isPlain: false) } == .alreadyBuilding)
        let other = Self.policy(live, Self.version(2, .building, structure: 3))
        #expect(refusal { _ = try other.start(isPlain: true) } == .otherStructure)
    }

    /// The files of a definition state its version number. Only this version is created.
    @Test func aNumberThatIsSaidIsAHigherOne() throws {
        func policy(_ number: Int, _ versions: ModelVersion...) -> RebuildPolicy {
            RebuildPolicy(
                ReadModel(
                    name: "m", structure: number, number: number, tables: ScriptTables(model: "m", script: "")),
                versions)
        }
        let live = Self.version(2, .live)
        let building = Self.version(5, .building, structure: 5)
        #expect(try policy(7).start(isPlain: true) == .create(7))
        #expect(try policy(5, live).start(isPlain: true) == .create(5))
        #expect(refusal { _ = try policy(2, live).start(isPlain: true) } == .notNewer)
        // The previous version was dropped. A daemon with old files must not create it again.
        #expect(refusal { _ = try policy(1, live).start(isPlain: true) } == .notNewer)
        #expect(try policy(5, live, building).start(isPlain: true) == .resume(building))
        #expect(refusal { _ = try policy(6, live, building).start(isPlain: true) } == .alreadyBuilding)
        #expect(refusal { _ = try policy(6, live, building).promotion(isForced: true) } == .otherStructure)
        #expect(try policy(5, live, building).promotion(isForced: true) == building)
        let named = RebuildPolicy(
            ReadModel(name: "m", structure: nil, tables: ScriptTables(model: "m", script: "")), [live, building])
        #expect(try named.promotion(isForced: true) == building)
    }

    @Test func onlyAVerifiedVersionIsPromoted() throws {
        let live = Self.version(1, .live)
        var building = Self.version(2, .building)
        #expect(refusal { _ = try Self.policy(live).promotion(isForced: true) } == .notBuilding)
        #expect(refusal { _ = try Self.policy(live, building).promotion(isForced: false) } == .notVerified)
        #expect(try Self.policy(live, building).promotion(isForced: true) == building)
        building.verifiedAt = building.startedAt
        #expect(try Self.policy(live, building).promotion(isForced: false) == building)
        let other = Self.policy(live, Self.version(2, .building, structure: 1))
        #expect(refusal { _ = try other.promotion(isForced: true) } == .otherStructure)
    }

    @Test func onlyWhatNobodySeesIsDropped() throws {
        let old = Self.version(1, .superseded)
        let live = Self.version(2, .live)
        let building = Self.version(3, .building, structure: 9)
        #expect(refusal { _ = try Self.policy(live).abortion() } == .notBuilding)
        #expect(try Self.policy(live, building).abortion() == building)
        #expect(refusal { _ = try Self.policy(live, building).retirement() } == .nothingToRetire)
        #expect(try Self.policy(old, live, building).retirement() == [old])
    }

    @Test func theRateLooksBackSomeSeconds() {
        var pace = RebuildPace(window: .seconds(10))
        let start = ContinuousClock.now
        pace.observe(0, at: start)
        #expect(pace.perSecond == nil)
        for second in 1...5 { pace.observe(Int64(second) * 100, at: start + .seconds(second)) }
        #expect(pace.perSecond == 100)
        #expect(pace.secondsLeft(1_000) == 10)
        // The slow beginning no longer counts after some time.
        for second in 6...40 { pace.observe(500 + Int64(second - 5) * 1_000, at: start + .seconds(second)) }
        #expect(pace.perSecond == 1_000)
        // Without progress, the time left is unknown.
        for second in 41...60 { pace.observe(35_500, at: start + .seconds(second)) }
        #expect(pace.perSecond == 0)
        #expect(pace.secondsLeft(10) == nil)
        #expect(pace.secondsLeft(0) == 0)
        pace.observe(1, at: start + .seconds(61))
        #expect(pace.perSecond == nil)
    }
}
