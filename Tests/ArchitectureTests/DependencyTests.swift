import Foundation
import Testing

/// Keeps the sources to the module map of docs/architecture.md: the compiler lets a file import any module of the
/// package that happens to be built before it, so the arrows need a test of their own.
@Suite struct DependencyTests {
    /// What each target may import of the package, level by level from the bottom. A level may import those below
    /// it only where it is written here.
    static let allowed: [String: Set<String>] = {
        let base: Set = ["StreamCore"]
        let clients: Set = ["Kafka", "Postgres"]
        let embedded: Set = ["EmbeddedKafka", "EmbeddedPostgres"]
        let below: Set = base.union(clients).union(["Blocking", "Orders", "WireJSON", "Operations", "Settings"])
        let features: Set = [
            "Outbox", "Projections", "DeadLetters", "OrderSummary", "Dashboard", "DashboardPage", "OrderQueries",
            "OrderShop", "Verification", "Migrations",
        ]
        return [
            "StreamCore": [],
            "WireJSON": base,
            "Blocking": ["CLinux"],
            "Kafka": ["CRDKafka", "Blocking", "StreamCore"],
            "Postgres": ["CLibPQ", "Blocking", "StreamCore"],
            "EmbeddedKafka": ["CRDKafka", "Blocking"],
            "EmbeddedPostgres": ["Blocking"],
            "Orders": ["StreamCore", "WireJSON"],
            "Operations": [],
            "Settings": [],
            "Outbox": clients.union(["StreamCore", "WireJSON"]),
            "Projections": clients.union(base),
            "DeadLetters": clients.union(["Projections", "StreamCore"]),
            "OrderSummary": clients.union(["Projections", "Orders", "StreamCore", "WireJSON"]),
            "Dashboard": clients.union(["Projections", "Orders", "StreamCore", "WireJSON"]),
            "OrderShop": ["Postgres", "StreamCore", "WireJSON"],
            "Verification": clients.union(["Orders", "StreamCore"]),
            "Migrations": ["Postgres", "StreamCore"],
            "DashboardPage": [],
            "OrderQueries": clients.union(["Operations", "StreamCore", "WireJSON"]),
            "Daemon": below.union(features),
            "OperatorCommands": below.union(features).union(embedded).union(["Daemon"]),
            "outbox-relay": ["Daemon"],
            "order-summary-projection": ["Daemon"],
            "dead-letter-handler": ["Daemon"],
            "dashboard-projection": ["Daemon"],
            "query-service": ["Daemon"],
            "millrace": ["OperatorCommands"],
        ]
    }()

    /// Libraries that exactly one target may import, so that replacing one means changing one.
    static let owners: [String: Set<String>] = [
        "HummingbirdCore": ["Operations"], "NIOCore": ["Operations"], "NIOPosix": ["Operations"],
        "NIOHTTP1": ["Operations"], "TOMLKit": ["Settings"],
        "CRDKafka": ["Kafka", "EmbeddedKafka"], "CLibPQ": ["Postgres"], "CLinux": ["Blocking"],
    ]

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    struct Source: Sendable, CustomTestStringConvertible {
        let target: String
        let url: URL
        var testDescription: String { "\(target)/\(url.lastPathComponent)" }
        func lines() throws -> [Substring] {
            try String(contentsOf: url, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
        }
    }

    static func sources(below folder: String) throws -> [Source] {
        let top = root.appending(path: folder)
        let targets = try FileManager.default.contentsOfDirectory(atPath: top.path)
        return targets.flatMap { target -> [Source] in
            let files = FileManager.default.enumerator(at: top.appending(path: target), includingPropertiesForKeys: nil)
            return (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "swift" }
                .map { Source(target: target, url: $0) }
        }
    }

    /// The modules that a file imports, whatever stands before `import`.
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

    @Test func everySourceImportsOnlyWhatItsLevelMay() throws {
        let sources = try Self.sources(below: "Sources")
        #expect(sources.count > 50, "the sources were not found")
        let own = Set(Self.allowed.keys).union(["CRDKafka", "CLibPQ", "CLinux"])
        for source in sources {
            let allowed = try #require(Self.allowed[source.target], "\(source.target) has no place in the module map")
            for name in try Self.imports(of: source)
            where own.contains(name.replacing("_", with: "-")) || own.contains(name) {
                #expect(allowed.contains(name), "\(source.testDescription) must not import \(name)")
            }
        }
    }

    @Test func ownedLibrariesHaveOneImporter() throws {
        for source in try Self.sources(below: "Sources") {
            for name in try Self.imports(of: source) {
                guard let owners = Self.owners[name] else { continue }
                #expect(owners.contains(source.target), "\(source.testDescription) must not import \(name)")
            }
        }
    }

    @Test func executablesOnlyParseAndHandOver() throws {
        for name in ["outbox-relay", "order-summary-projection", "dashboard-projection", "millrace"] {
            let lines = try Self.sources(below: "Sources").filter { $0.target == name }.map { try $0.lines().count }
            #expect(!lines.isEmpty)
            #expect(lines.reduce(0, +) <= 60, "\(name) has grown beyond 60 lines")
        }
    }

    @Test func everyUncheckedClaimNamesItsGuarantee() throws {
        for source in try Self.sources(below: "Sources") {
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
        // Assembled so that this file does not find itself.
        let sleeps = ["Task" + ".sleep", "Thread" + ".sleep", "u" + "sleep("]
        for source in try Self.sources(below: "Tests") where source.url.lastPathComponent != "Eventually.swift" {
            for (index, line) in try source.lines().enumerated() where sleeps.contains(where: line.contains) {
                Issue.record("\(source.testDescription):\(index + 1) waits for a time instead of a condition")
            }
        }
    }
}
