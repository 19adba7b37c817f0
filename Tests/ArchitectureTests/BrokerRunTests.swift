import Foundation
import Testing

/// Checks that the lists of what `make test-broker` leaves out name only tests that exist.
@Suite struct BrokerRunTests {
    /// The text of each test file, by the name of its target and its own name.
    private let suites: [String: String]

    init() throws {
        var suites: [String: String] = [:]
        // Each suite is in a file with the suite's name.
        for target in try PackageManifest().targets.keys where target.hasSuffix("Tests") {
            for source in DependencyTests.sources(below: "Tests/\(target)", of: target) {
                let name = source.url.deletingPathExtension().lastPathComponent
                suites["\(target).\(name)"] = try String(contentsOf: source.url, encoding: .utf8)
            }
        }
        self.suites = suites
    }

    @Test func suitesWithoutKafkaUseNone() throws {
        let names = try Self.lines(of: "without-kafka.txt")
        #expect(names.count > 10)
        for name in names {
            let text = try #require(suites[name], "\(name) is no file with tests")
            for word in ["TestKafka", "Producer(", "Consumer(", "MockCluster"] where text.contains(word) {
                Issue.record("\(name) uses \(word): its result may depend on the broker")
            }
        }
    }

    @Test func testsThatTheBrokerCannotRunExist() throws {
        let names = try Self.lines(of: "skipped.txt").map { $0.prefix { $0 != " " }.split(separator: "/") }
        #expect(!names.isEmpty)
        for name in names {
            let found = suites.contains { suite, text in
                suite.hasSuffix(".\(name[0])") && text.contains("func \(name[1])(")
            }
            #expect(found, "\(name.joined(separator: "/")) is no test")
        }
    }

    private static func lines(of file: String) throws -> [String] {
        try String(contentsOf: PackageManifest.root.appending(path: "Tests/Broker/\(file)"), encoding: .utf8)
            .split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
    }
}
