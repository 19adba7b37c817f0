import Foundation
import Testing

/// Checks that the lists of files in docs/architecture.md are correct and short.
@Suite struct WayTests {
    /// The maximum number of files in each list, by the first words of the list.
    private static let limits = ["An outbox row": 24, "A record": 28, "A dead letter": 28, "A request": 20]

    @Test func eachWayIsAListOfFilesThatExist() throws {
        let page = try String(contentsOf: PackageManifest.root.appending(path: "docs/architecture.md"), encoding: .utf8)
        let section = try #require(page.components(separatedBy: "## The files of each way\n").dropFirst().first)
        let text = try #require(section.components(separatedBy: "\n## ").first)
        let ways = text.components(separatedBy: "\n**").dropFirst()
        #expect(ways.count == Self.limits.count)
        for way in ways {
            let name = try #require(way.components(separatedBy: "**").first)
            let limit = try #require(Self.limits[name], "there is no limit for \"\(name)\"")
            let files = way.split(separator: "`").filter { $0.hasSuffix(".swift") }.map(String.init)
            #expect(files.count > 5 && files.count <= limit, "\(name) crosses \(files.count) files")
            #expect(Set(files).count == files.count, "\(name) names a file twice")
            for file in files {
                let path = PackageManifest.root.appending(path: "Sources/\(file)").path
                #expect(FileManager.default.fileExists(atPath: path), "Sources/\(file) does not exist")
            }
        }
    }
}
