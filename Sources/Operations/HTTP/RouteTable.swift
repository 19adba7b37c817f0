/// Finds the route of a path.
struct RouteTable: Sendable {
    private enum Part: Sendable {
        case literal(String)
        case parameter(String)
    }

    private struct Entry: Sendable {
        let index: Int
        let parts: [Part]

        /// Written-out parts before parameters, from the left.
        func precedes(_ other: Entry) -> Bool {
            for (own, others) in zip(parts, other.parts) {
                switch (own, others) {
                case (.literal, .parameter): return true
                case (.parameter, .literal): return false
                default: continue
                }
            }
            return index < other.index
        }
    }

    let routes: [HTTPRoute]
    /// By their number of parts, in the order in which they are tried.
    private let entries: [Int: [Entry]]

    init(_ routes: [HTTPRoute]) {
        self.routes = routes
        var entries: [Int: [Entry]] = [:]
        for (index, route) in routes.enumerated() {
            precondition(route.template.hasPrefix("/"), "a route's template begins with a slash")
            let parts = route.template.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map {
                $0.hasPrefix("{") && $0.hasSuffix("}")
                    ? Part.parameter(String($0.dropFirst().dropLast())) : Part.literal(String($0))
            }
            entries[parts.count, default: []].append(Entry(index: index, parts: parts))
        }
        self.entries = entries.mapValues { $0.sorted { $0.precedes($1) } }
    }

    /// - Parameter parts: of the path, decoded.
    /// - Returns: the route's index, and the values of its parameters.
    func match(_ parts: [String]) -> (index: Int, parameters: [(name: String, value: String)])? {
        for entry in entries[parts.count] ?? [] {
            if let parameters = Self.match(entry.parts, parts) { return (entry.index, parameters) }
        }
        return nil
    }

    private static func match(_ template: [Part], _ parts: [String]) -> [(name: String, value: String)]? {
        var parameters: [(name: String, value: String)] = []
        for (expected, part) in zip(template, parts) {
            switch expected {
            case .literal(let text):
                guard text == part else { return nil }
            case .parameter(let name):
                guard !part.isEmpty else { return nil }
                parameters.append((name, part))
            }
        }
        return parameters
    }
}
