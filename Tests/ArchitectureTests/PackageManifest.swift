import Foundation

/// The content of Package.swift, read as text. Its arrays of targets are the levels of the architecture, from the top
/// down.
struct PackageManifest: Sendable {
    struct Target: Sendable {
        let name: String
        /// The array that contains the target.
        let level: String
        /// The folder with its sources, relative to the package's root.
        let folder: String
        /// The modules of the package and of libraries that it depends on.
        let dependencies: Set<String>
        /// The executables that it runs as processes. A build of it builds them too.
        let programs: Set<String>
        /// Whether it contains tests. A kit that tests use is not a test target.
        let isTest: Bool
    }

    private(set) var targets: [String: Target] = [:]
    /// From the top down.
    private(set) var levels: [String] = []

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The text cannot be parsed. No target is skipped, because a skipped target would not be checked.
    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    init() throws {
        try self.init(reading: String(contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8))
    }

    init(reading text: String) throws {
        // `static let logging = product(name: "Logging", …)`
        var products: [String: String] = [:]
        for match in text.matches(of: /static let (\w+) = product\(name: "(\w+)"/) {
            products[String(match.1)] = String(match.2)
        }
        for array in text.matches(of: /let (\w+): \[Target\] = \[\n(?s:(.*?))\n\]\n/) {
            let level = String(array.1)
            levels.append(level)
            let lines = array.2.split(separator: "\n").filter { $0.firstMatch(of: /^ *\/\//) == nil }
            for entry in lines.joined(separator: "\n").split(separator: /(?:^|\n)    (?=\S)/) {
                let target = try Self.target(in: String(entry), level, products)
                guard targets.updateValue(target, forKey: target.name) == nil else {
                    throw Unreadable(description: "Package.swift names \(target.name) twice")
                }
            }
        }
        let known = Set(targets.keys).union(products.values)
        for target in targets.values {
            if let unknown = target.dependencies.subtracting(known).first {
                throw Unreadable(description: "\(target.name) depends on \(unknown), which Package.swift does not name")
            }
        }
    }

    /// Reads one element of an array, for example `module("Tail", dependsOn: "Kafka", .logging),`.
    private static func target(in entry: String, _ level: String, _ products: [String: String]) throws -> Target {
        guard let call = entry.wholeMatch(of: /\.?(\w+)\(\s*(?:name: )?"([\w-]+)"(?s:(.*))\),?\s*/) else {
            throw Unreadable(description: "not a target: \(entry)")
        }
        let (kind, name, arguments) = (String(call.1), String(call.2), String(call.3))
        var dependencies: Set<String> = []
        var folder = "Sources/\(name)"
        switch kind {
        // The two C library targets, which are declared in PackageDescription's own form.
        case "systemLibrary", "target": break
        case "daemon":
            guard let program = arguments.firstMatch(of: /starting: "(\w+)"/)?.1 else {
                throw Unreadable(description: "\(name) starts no program")
            }
            dependencies = [String(program), "Daemon"]
        case "program": folder = "Sources/Programs/" + name.dropLast("Program".count)
        case "module", "executable", "suite":
            if let path = arguments.firstMatch(of: /path: "([\w\/-]+)"/)?.1 { folder = String(path) }
        default: throw Unreadable(description: "\(kind) is not a kind of target")
        }
        let programs = arguments.firstMatch(of: /running: ((?:"[\w-]+",\s*)+)/)?.1.matches(of: /"([\w-]+)"/) ?? []
        if let list = arguments.firstMatch(of: /dependsOn: (?s:(.*))$/)?.1 {
            for element in list.split(separator: ",") {
                let word = element.trimmingCharacters(in: .whitespacesAndNewlines)
                if word.hasPrefix("."), let product = products[String(word.dropFirst())] {
                    dependencies.insert(product)
                } else if let module = word.wholeMatch(of: /"([\w-]+)"/)?.1 {
                    dependencies.insert(String(module))
                } else {
                    throw Unreadable(description: "\(name) depends on \(word), which is not a target or a product")
                }
            }
        }
        return Target(
            name: name, level: level, folder: folder, dependencies: dependencies,
            programs: Set(programs.map { String($0.1) }), isTest: kind == "suite")
    }

    /// All direct and indirect dependencies of a target.
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
