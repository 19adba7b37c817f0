import Foundation

/// What Package.swift says, read as text: its arrays of targets are the levels of the architecture, from the top.
struct PackageManifest: Sendable {
    struct Target: Sendable {
        let name: String
        /// The array that it stands in.
        let level: String
        /// The folder with its sources, from the package's root.
        let folder: String
        /// Modules of the package and of libraries.
        let dependencies: Set<String>
        /// Whether it holds tests, and not what tests or programs are built with.
        let isTest: Bool
    }

    private(set) var targets: [String: Target] = [:]
    /// From the top.
    private(set) var levels: [String] = []

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    init() throws {
        let text = try String(contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8)
        // `static let logging = product(name: "Logging", …)`
        var products: [String: String] = [:]
        for match in text.matches(of: /static let (\w+) = product\(name: "(\w+)"/) {
            products[String(match.1)] = String(match.2)
        }
        for array in text.matches(of: /let (\w+): \[Target\] = \[\n(?s:(.*?))\n\]\n/) {
            let level = String(array.1)
            levels.append(level)
            for text in String(array.2).split(separator: /\n    \.(?=\w+\()/) {
                guard let name = text.firstMatch(of: /name: "([\w-]+)"/)?.1 else { continue }
                var dependencies: Set<String> = []
                if let list = text.firstMatch(of: /dependencies: \[(?s:(.*?))\]/)?.1 {
                    for word in list.matches(of: /"([\w-]+)"/) { dependencies.insert(String(word.1)) }
                    for word in list.matches(of: /\.(\w+)/) {
                        if let product = products[String(word.1)] { dependencies.insert(product) }
                    }
                }
                let path = text.firstMatch(of: /path: "([\w\/-]+)"/)?.1
                targets[String(name)] = Target(
                    name: String(name), level: level, folder: path.map(String.init) ?? "Sources/\(name)",
                    dependencies: dependencies, isTest: text.firstMatch(of: /^\s*\.?test\b/) != nil)
            }
        }
    }

    /// All that a target is built with.
    func closure(of name: String) -> Set<String> {
        var found: Set<String> = []
        var open = [name]
        while let next = open.popLast() {
            for dependency in targets[next]?.dependencies ?? [] where found.insert(dependency).inserted {
                open.append(dependency)
            }
        }
        return found
    }
}
