import Foundation
import Testing

/// Checks that the links of the documentation lead to files and headings that exist.
@Suite struct LinkTests {
    private static let folders = ["docs", "projections", "Examples", "Tests", "kubernetes", "packaging", "bench"]

    @Test func everyLinkHasATarget() throws {
        let pages = try Self.pages()
        #expect(pages.count > 20, "the pages were not found")
        var count = 0
        for page in pages {
            for link in page.links {
                count += 1
                if let problem = try Self.problem(of: link, in: page) {
                    Issue.record("\(page.url.lastPathComponent): \(link): \(problem)")
                }
            }
        }
        #expect(count > 100, "the links were not found")
    }

    private static func pages() throws -> [Page] {
        let root = PackageManifest.root
        let files = FileManager.default
        var urls = try files.contentsOfDirectory(at: root, includingPropertiesForKeys: nil)
        for folder in folders {
            let found = files.enumerator(
                at: root.appending(path: folder), includingPropertiesForKeys: nil, options: .skipsHiddenFiles)
            urls += found?.allObjects as? [URL] ?? []
        }
        return try urls.filter { $0.pathExtension == "md" }.map {
            Page(url: $0, text: try String(contentsOf: $0, encoding: .utf8))
        }
    }

    /// - Returns: nil if the file and the heading exist.
    private static func problem(of link: String, in page: Page) throws -> String? {
        let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = String(parts[0]).removingPercentEncoding else { return "is not a valid path" }
        var target = page
        if !path.isEmpty {
            let url = URL(filePath: path, relativeTo: page.url.deletingLastPathComponent()).standardizedFileURL
            guard FileManager.default.fileExists(atPath: url.path) else { return "there is no such file" }
            guard parts.count > 1 else { return nil }
            guard url.pathExtension == "md" else { return "only a page has headings" }
            target = Page(url: url, text: try String(contentsOf: url, encoding: .utf8))
        }
        guard parts.count > 1 else { return nil }
        return target.anchors.contains(String(parts[1])) ? nil : "the page has no such heading"
    }

    @Test func linksAndHeadingsAreFound() {
        let page = Page(
            url: URL(filePath: "/page.md"),
            text: """
                # The `page`, and its name: C++_x
                See [one](a.md#b), [two
                lines](<c d.md> "title") and [ours](#here), not [theirs](https://example.com/#a) or `[code](code.md)`.
                [ref]: e.md
                ```sh
                # not a heading
                [not](a-link.md)
                ```
                ## Größe – [linked](f.md)
                ## Again
                ## Again
                """)
        #expect(page.links == ["a.md#b", "c d.md", "#here", "e.md", "f.md"])
        #expect(page.anchors == ["the-page-and-its-name-c_x", "größe--linked", "again", "again-1"])
    }
}

/// A page in Markdown.
private struct Page {
    let url: URL
    let links: [String]
    /// The names of its headings in links.
    let anchors: Set<String>

    init(url: URL, text: String) {
        self.url = url
        let lines = Self.prose(text)
        let withoutCode = lines.joined(separator: "\n").replacing(#/`[^`\n]*`/#, with: "")
        let targets = #/\]\((?:<([^>]*)>|([^\s)]+))|(?:^|\n)\[[^\]]+\]:[ ]+(\S+)/#
        links = withoutCode.matches(of: targets).compactMap { ($0.1 ?? $0.2 ?? $0.3).map(String.init) }
            .filter { $0.prefixMatch(of: #/[a-z]+:/#) == nil }
        anchors = Self.anchors(of: lines)
    }

    /// The lines outside of blocks of code.
    private static func prose(_ text: String) -> [Substring] {
        var isCode = false
        return text.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
            guard line.drop(while: { $0 == " " }).hasPrefix("```") else { return !isCode }
            isCode.toggle()
            return false
        }
    }

    /// GitHub's rule: letters in lower case, digits, `-` and `_` stay, a space becomes `-`, and anything else is left
    /// out. A heading that occurs again gets a number.
    private static func anchors(of lines: [Substring]) -> Set<String> {
        var counts: [String: Int] = [:]
        var anchors: Set<String> = []
        for line in lines {
            guard let heading = line.wholeMatch(of: #/#{1,6} +(.*)/#) else { continue }
            let text = heading.1.replacing(#/\[([^\]]*)\]\([^)]*\)/#) { $0.1 }.lowercased()
            let name = String(
                text.compactMap { character -> Character? in
                    if character == " " { return "-" }
                    return character.isLetter || character.isNumber || "-_".contains(character) ? character : nil
                })
            let count = counts[name, default: 0]
            counts[name] = count + 1
            anchors.insert(count == 0 ? name : "\(name)-\(count)")
        }
        return anchors
    }
}
