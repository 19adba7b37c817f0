import DashboardPage
import Foundation
import Testing

@Suite struct PageFilesTests {
    static let resources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/DashboardPage/Resources")

    static func text(_ path: String) throws -> String {
        let file = try #require(DashboardPage.files.first { $0.path == path }, "no file is served at \(path)")
        return try #require(String(validating: file.bytes, as: UTF8.self), "\(path) is not UTF-8")
    }

    @Test func everyFileOfTheFolderIsServedAsItIs() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.resources.path).sorted()
        let paths = names.map { $0 == "index.html" ? "/" : "/assets/\($0)" }
        #expect(DashboardPage.files.map(\.path).sorted() == paths.sorted())
        for (name, path) in zip(names, paths) {
            let onDisk = try [UInt8](Data(contentsOf: Self.resources.appending(path: name)))
            #expect(DashboardPage.files.first { $0.path == path }?.bytes == onDisk, "\(name) differs")
        }
    }

    @Test func everyFileHasItsContentType() {
        let types = ["html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"]
        for file in DashboardPage.files {
            let ending = file.path == "/" ? "html" : String(file.path.split(separator: ".").last ?? "")
            #expect(file.contentType.hasPrefix(types[ending] ?? "?"), "\(file.path) is \(file.contentType)")
        }
    }

    @Test func thePageHasNoInlineScriptOrStyle() throws {
        let page = try Self.text("/")
        #expect(page.contains(/<script/))
        for tag in page.matches(of: /<script\b[^>]*>\s*<\/script>/) {
            #expect(tag.output.contains(" src=\""), "\(tag.output)")
        }
        #expect(page.matches(of: /<script\b/).count == page.matches(of: /<script\b[^>]*>\s*<\/script>/).count)
        #expect(!page.contains(/<style\b/))
        #expect(!page.contains(/\sstyle\s*=/))
        #expect(!page.contains(/\son[a-z]+\s*=/))
        #expect(!page.contains(/javascript:/))
    }

    @Test func nothingIsLoadedFromElsewhereOrBuiltFromText() throws {
        for file in DashboardPage.files where file.path != "/assets/icon.svg" {
            // Comments name specifications. The SVG namespace is a name, not an address that is loaded.
            let text = try Self.text(file.path).replacing("http://www.w3.org/2000/svg", with: "")
                .split(separator: "\n").filter { !$0.drop { $0 == " " }.hasPrefix("//") }.joined(separator: "\n")
            #expect(!text.contains(/(?:https?:)?\/\/[a-z0-9-]+\.[a-z]/), "\(file.path) names another server")
            for danger in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
                #expect(!text.contains(danger), "\(file.path) uses \(danger)")
            }
        }
    }

    @Test func whatTheFilesReferToIsThere() throws {
        let known = Set(DashboardPage.files.map(\.path)).union([DashboardPage.chartScriptPath])
        for match in try Self.text("/").matches(of: /(?:src|href)="(assets\/[^"]*)"/) {
            #expect(known.contains("/\(match.output.1)"), "the page refers to \(match.output.1)")
        }
        for file in DashboardPage.files where file.path.hasSuffix(".js") {
            for match in try Self.text(file.path).matches(of: /(?:from|import) "\.\/([^"]+)"/) {
                #expect(known.contains("/assets/\(match.output.1)"), "\(file.path) imports \(match.output.1)")
            }
        }
    }
}
