import Foundation
import Testing

/// Checks that the sources import only what Package.swift allows. The compiler lets a file import any module of the
/// package that happens to be built before it, so a test must check the dependencies.
@Suite struct DependencyTests {
    private let manifest: PackageManifest
    static let root = PackageManifest.root

    init() throws { manifest = try PackageManifest() }

    /// Libraries that only a few targets may import, so that replacing a library changes only those targets.
    static let owners: [String: Set<String>] = [
        "Hummingbird": ["HTTP"], "HummingbirdCore": ["HTTP"], "HummingbirdTLS": ["HTTP"], "HTTPTypes": ["HTTP"],
        "NIOPosix": ["HTTP"], "NIOTLS": ["HTTP"], "NIOHTTPTypes": ["HTTP"], "NIOHTTP2": ["HTTP"],
        "NIOCore": ["HTTP"], "NIOHTTP1": ["HTTP"], "NIOHTTPTypesHTTP1": ["HTTP"], "NIOHTTPTypesHTTP2": ["HTTP"],
        "NIOSSL": ["HTTP"],
        "TOMLKit": ["Settings"],
        "CRDKafka": ["Kafka", "EmbeddedKafka"], "CLibPQ": ["Postgres"], "CLinux": ["Blocking"], "CCurl": ["HTTPClient"],
    ]

    struct Source: Sendable, CustomTestStringConvertible {
        let target: String
        let url: URL
        var testDescription: String { "\(target)/\(url.lastPathComponent)" }
        func lines() throws -> [Substring] {
            try String(contentsOf: url, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
        }
    }

    /// The sources of the targets that are not tests.
    func sources() -> [Source] {
        manifest.targets.values.filter { $0.level != "tests" }.flatMap { Self.sources(below: $0.folder, of: $0.name) }
    }

    static func sources(below folder: String, of target: String) -> [Source] {
        let files = FileManager.default.enumerator(at: root.appending(path: folder), includingPropertiesForKeys: nil)
        return (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "swift" }
            .map { Source(target: target, url: $0) }
    }

    /// The modules that a file imports, whatever precedes `import`.
    static func imports(of source: Source) throws -> [String] {
        try source.lines().compactMap { line in
            let words = line.split(separator: " ")
            guard let index = words.firstIndex(of: "import"), index + 1 < words.count,
                words[..<index].allSatisfy({ $0.hasPrefix("@") || accessLevels.contains($0) })
            else { return nil }
            let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
            let name = kinds.contains(words[index + 1]) ? words[index + 2] : words[index + 1]
            return String(name.prefix { $0 != "." })
        }
    }

    private static let accessLevels: Set<Substring> = ["public", "package", "internal", "private", "fileprivate"]

    @Test func noTargetNamesOneAboveIt() {
        #expect(manifest.targets.count > 30 && manifest.levels.count > 8, "Package.swift was not understood")
        for target in manifest.targets.values where target.level != "tests" {
            let level = manifest.levels.firstIndex(of: target.level) ?? 0
            for name in target.dependencies {
                guard let other = manifest.targets[name] else { continue }
                let otherLevel = manifest.levels.firstIndex(of: other.level) ?? 0
                #expect(otherLevel >= level, "\(target.name) must not import \(name), which is above it")
            }
        }
    }

    /// The levels that each lower level may depend on. A level without its own name in the list must not depend on
    /// targets of the same level.
    static let lowerLevels: [String: Set<String>] = [
        "sharedProtocols": ["clients", "base"], "domain": ["domain", "base"], "clients": ["base", "systemLibraries"],
        "base": ["base", "systemLibraries"],
    ]

    @Test(arguments: lowerLevels.keys.sorted())
    func lowerLevelsNameOnlyWhatStandsBelow(level: String) {
        let targets = manifest.targets.values.filter { $0.level == level }
        #expect(!targets.isEmpty)
        for target in targets {
            for name in target.dependencies {
                guard let other = manifest.targets[name] else { continue }
                #expect(
                    Self.lowerLevels[level]?.contains(other.level) == true,
                    "\(target.name) must not import \(name)")
            }
        }
    }

    @Test func theFrameworkAndTheFeaturesDoNotKnowEachOther() {
        let features = manifest.targets.values.filter { $0.level == "features" }
        #expect(features.count > 5)
        #expect(manifest.closure(of: "Daemon").isDisjoint(with: features.map(\.name)))
        for feature in features { #expect(!manifest.closure(of: feature.name).contains("Daemon")) }
    }

    /// Commands that do not need the daemons are compiled beside the daemons' programs, and not one after the other.
    @Test func onlyTheRootCommandKnowsTheDaemonsAndTheOtherCommands() {
        let commands = manifest.targets.values.filter { $0.level == "commands" && $0.name != "OperatorCommands" }
        let programs = manifest.targets.values.filter { $0.level == "programs" }.map(\.name)
        #expect(commands.count > 2 && programs.contains("Catalog"))
        for target in commands {
            let known = manifest.closure(of: target.name)
            #expect(known.isDisjoint(with: programs + ["Daemon"]), "\(target.name) must not know the daemons")
            let others = commands.map(\.name).filter { $0 != "CommandSupport" }
            #expect(known.isDisjoint(with: others), "\(target.name) may share only CommandSupport with other commands")
        }
    }

    /// The relay, the projection runtime, dead letters and operations process the events of any domain. Only these
    /// targets may depend on the shop's domains. Every other target, including future ones, may not.
    @Test func onlyWhatIsAboutOrdersKnowsThem() {
        let aboutOrders: Set = [
            "OrderSummary", "Dashboard", "OrderShop", "OrderQueries", "Verification", "OrderCommands",
            "AccountCommands", "InventoryCommands", "ProductCommands", "OrderProcess",
        ]
        let domains = manifest.targets.values.filter { $0.level == "domain" && $0.name != "Events" }.map(\.name)
        #expect(domains.contains("Orders"))
        let below = ["features", "framework", "support", "clients", "base"]
        let generic = manifest.targets.values.filter { below.contains($0.level) && !aboutOrders.contains($0.name) }
        #expect(generic.count > 10)
        #expect(aboutOrders.isSubset(of: manifest.targets.keys))
        for target in generic {
            for domain in domains {
                #expect(!manifest.closure(of: target.name).contains(domain), "\(target.name) must not know \(domain)")
            }
        }
        #expect(manifest.closure(of: "Events").isDisjoint(with: domains))
    }

    @Test func everySourceImportsOnlyWhatItsTargetNames() throws {
        let sources = self.sources()
        #expect(sources.count > 300, "the sources were not found")
        let own = Set(manifest.targets.keys)
        for source in sources {
            let allowed = try #require(manifest.targets[source.target]).dependencies
            for name in try Self.imports(of: source) where own.contains(name) {
                #expect(allowed.contains(name), "\(source.testDescription) must not import \(name)")
            }
        }
    }

    @Test func everyDependencyIsImported() throws {
        for target in manifest.targets.values where target.level != "tests" {
            let sources = Self.sources(below: target.folder, of: target.name)
            let imported = Set(try sources.flatMap { try Self.imports(of: $0) })
            for name in target.dependencies where !sources.isEmpty {
                #expect(imported.contains(name), "\(target.name) names \(name) and does not import it")
            }
        }
    }

    @Test func ownedLibrariesHaveOneImporter() throws {
        for source in sources() {
            for name in try Self.imports(of: source) {
                guard let owners = Self.owners[name] else { continue }
                #expect(owners.contains(source.target), "\(source.testDescription) must not import \(name)")
            }
        }
    }

    /// `@testable` imports do not compile in a release build.
    @Test func onlyTestsSeeWhatIsInternal() throws {
        let others = manifest.targets.values.filter { !$0.isTest }
        #expect(others.contains { $0.folder == "Tests/TestKit" })
        for target in others {
            for source in Self.sources(below: target.folder, of: target.name) {
                let line = try source.lines().firstIndex { $0.hasPrefix("@testable") }
                #expect(line == nil, "\(source.testDescription) imports a module with @testable")
            }
        }
    }

    @Test func executablesOnlyStartTheirProgram() throws {
        for target in manifest.targets.values where target.level == "executables" && target.folder != "bench" {
            let lines = try Self.sources(below: target.folder, of: target.name).map { try $0.lines().count }
            #expect(!lines.isEmpty)
            #expect(lines.reduce(0, +) <= 10, "\(target.name) has grown beyond 10 lines")
        }
    }

    /// `make` builds all programs in one invocation, which takes less time than one for each.
    @Test func aBuildOfTheCommandLineBuildsEveryDaemon() throws {
        let executables = manifest.targets.values.filter { $0.level == "executables" }
        let daemons = executables.filter { $0.dependencies.contains("Daemon") }.map(\.name)
        #expect(daemons.count > 5)
        #expect(try #require(manifest.targets["millrace"]).programs == Set(daemons))
        #expect(try #require(manifest.targets["millrace-bench"]).programs == ["millrace"])
    }

    @Test func everyUncheckedClaimNamesItsGuarantee() throws {
        for source in sources() {
            let lines = try source.lines()
            for (index, line) in lines.enumerated()
            where line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") {
                let around = lines[max(0, index - 8)...min(index + 2, lines.count - 1)]
                #expect(
                    around.contains { $0.contains("SAFETY:") },
                    "\(source.testDescription):\(index + 1) claims safety without saying why")
            }
        }
    }

    @Test func testsNeverSleep() throws {
        // Assembled from parts so that the test does not find this file.
        let sleeps = ["Task" + ".sleep", "Thread" + ".sleep", "u" + "sleep("]
        for source in Self.sources(below: "Tests", of: "tests") where source.url.lastPathComponent != "Eventually.swift"
        {
            for (index, line) in try source.lines().enumerated() where sleeps.contains(where: line.contains) {
                Issue.record("\(source.testDescription):\(index + 1) waits for a time instead of a condition")
            }
        }
    }
}
