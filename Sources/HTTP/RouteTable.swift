/// Finds the routes of a path.
struct RouteTable: Sendable {
    /// The routes of one template, with different methods.
    struct Entry: Sendable {
        let template: String
        fileprivate let parts: [Part]
        fileprivate let routes: [HTTPRoute]

        /// The parts without the names of parameters.
        fileprivate var form: [String] {
            parts.map { part in if case .literal(let text) = part { text } else { "{" } }
        }

        /// All methods of the path.
        var methods: [String] { routes.flatMap(\.method.names) }

        /// - Throws: if the path does not support the method.
        func route(of method: String) throws(Problem) -> HTTPRoute {
            for route in routes where route.method.answers(method) { return route }
            throw Problem(
                status: 405, headers: [("Allow", methods.joined(separator: ", "))])
        }
    }

    fileprivate enum Part: Sendable {
        case literal(String)
        case parameter(String)
    }

    let templates: [String]
    /// The entries by number of parts, in the order in which they are tried.
    private let entries: [Int: [Entry]]

    init(_ routes: [HTTPRoute]) {
        let templates = routes.map(\.template).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let entries = templates.map { template in
            precondition(template.hasPrefix("/"), "a route's template begins with a slash")
            let parts = template.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map {
                $0.hasPrefix("{") && $0.hasSuffix("}")
                    ? Part.parameter(String($0.dropFirst().dropLast())) : Part.literal(String($0))
            }
            return Entry(template: template, parts: parts, routes: routes.filter { $0.template == template })
        }
        self.templates = templates
        // `{` sorts after letters, so literal parts are tried before parameters, from left to right, whatever the
        // parameters are named.
        let sorted = entries.sorted { $0.form.lexicographicallyPrecedes($1.form) }
        self.entries = Dictionary(grouping: sorted, by: \.parts.count)
    }

    /// - Parameter parts: the decoded parts of the path.
    /// - Returns: the matching entry, and the values of the template's parameters.
    func match(_ parts: [String]) -> (entry: Entry, parameters: [(name: String, value: String)])? {
        for entry in entries[parts.count] ?? [] {
            if let parameters = Self.match(entry.parts, parts) { return (entry, parameters) }
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
