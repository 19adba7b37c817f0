import Foundation
import Testing

/// Checks that files, functions and lines are short enough, and that words are those of the field.
@Suite struct TidyTests {
    private static let folders = ["Sources", "Tests", "bench", "Plugins"]
    private let sources = Self.folders.flatMap { DependencyTests.sources(below: $0, of: $0) }

    @Test func filesAreShort() throws {
        #expect(sources.count > 600, "the sources were not found")
        for source in sources {
            let count = try source.lines().count
            #expect(count <= 401, "\(source.testDescription) has \(count - 1) lines; 400 are allowed")
        }
    }

    /// The formatter limits the width of code, but not of comments.
    @Test func commentsAreNarrow() throws {
        for source in sources {
            for (index, line) in try source.lines().enumerated()
            where line.count > 120 && line.drop(while: { $0 == " " }).hasPrefix("//") {
                Issue.record("\(source.testDescription):\(index + 1) is wider than 120 columns")
            }
        }
    }

    @Test func functionsAreShort() throws {
        for source in sources {
            for (line, count) in Self.functions(in: try source.lines()) where count > 72 {
                Issue.record("\(source.testDescription):\(line) begins a function of \(count) lines")
            }
        }
    }

    /// The first line of each function, and its number of lines: up to the brace at the indentation of the first line.
    static func functions(in lines: [Substring]) -> [(line: Int, count: Int)] {
        var found: [(line: Int, count: Int)] = []
        for (index, line) in lines.enumerated() {
            let text = line.drop { $0 == " " }
            let words = text.split(separator: " ").prefix { !$0.hasPrefix("//") }
            let isFunction = words.contains("func") || words.contains { $0.hasPrefix("init(") || $0.hasPrefix("init<") }
            guard isFunction, !text.hasSuffix("}"), words.first.map(beginsDeclaration) == true else { continue }
            let indentation = line.prefix { $0 == " " }
            let end = lines[(index + 1)...].firstIndex { $0 == indentation + "}" }
            if let end { found.append((index + 1, end - index + 1)) }
        }
        return found
    }

    private static func beginsDeclaration(_ word: Substring) -> Bool {
        let words: Set<Substring> = [
            "func", "public", "package", "internal", "private", "fileprivate", "static", "mutating", "nonisolated",
            "convenience", "override", "isolated", "consuming", "borrowing", "@Test", "@inlinable",
            "@discardableResult",
        ]
        return words.contains(word) || word.hasPrefix("init") || word.hasPrefix("@")
    }

    @Test func functionsAreFound() {
        let text = """
            struct A {
                func one() { 1 }
                @Test(arguments: [1]) func two(
                    a: Int
                ) {
                    a
                }
                // func three() {
            }
            """
        let found = Self.functions(in: text.split(separator: "\n"))
        #expect(found.map(\.line) == [3] && found.map(\.count) == [5])
    }

    /// Pictures that were used for the terms leadership, signal and circuit breaker.
    private static var pictures: some RegexComponent {
        #/\b(?:tenure|doorbell|brake)s?(?![a-z])|(?:Tenure|Doorbell|Brake)s?(?![a-z])/#
    }
    /// A lane is a set of the dashboard's counters, or a queue of commands. The word is used for nothing else.
    private static var lanes: some RegexComponent { #/\blanes?(?![a-z])|Lanes?(?![a-z])/# }

    @Test func picturesAreFound() {
        for text in ["a brake", "brakes of", "takeTenure()", "DoorbellState", "Brake", "openBrakes"] {
            #expect(text.contains(Self.pictures), "\(text)")
        }
        for text in ["a lane", "takeLane()", "LaneState", "blockedLanes", "(lane: Int)"] {
            #expect(text.contains(Self.lanes), "\(text)")
        }
        for text in ["a plane", "planes", "explained", "Braked"] {
            #expect(!text.contains(Self.pictures) && !text.contains(Self.lanes), "\(text)")
        }
    }

    @Test func wordsAreThoseOfTheField() throws {
        let (pictures, lanes) = (Self.pictures, Self.lanes)
        let texts = ["docs", "config", "README.md", "CONTRIBUTING.md"].flatMap(Self.files)
        #expect(texts.count > 15)
        for file in sources.map(\.url) + texts where file.lastPathComponent != "TidyTests.swift" {
            let path = file.path.lowercased()
            let hasLanes = path.contains("dashboard") || path.contains("command")
            let lines = try String(contentsOf: file, encoding: .utf8).split(
                separator: "\n", omittingEmptySubsequences: false)
            for (index, line) in lines.enumerated() {
                let place = "\(file.lastPathComponent):\(index + 1)"
                if line.contains(pictures) { Issue.record("\(place) uses a picture instead of a term: \(line)") }
                if !hasLanes, !line.contains("dashboard"), line.contains(lanes) {
                    Issue.record("\(place) uses the word lane for something else: \(line)")
                }
            }
        }
    }

    /// The files with text in a folder, or the file itself.
    private static func files(_ path: String) -> [URL] {
        let url = DependencyTests.root.appending(path: path)
        guard let names = FileManager.default.enumerator(at: url, includingPropertiesForKeys: nil), !path.contains(".")
        else { return [url] }
        return (names.allObjects as? [URL] ?? []).filter { ["md", "toml", "yml"].contains($0.pathExtension) }
    }
}
