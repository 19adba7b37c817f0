internal import StreamCore
internal import WireJSON

/// Finds all values of a mapping in a JSON text in one pass.
struct PointerPlan: Sendable {
    /// A tree of members: the index of a value in the result, and the members in it.
    private struct Node: Sendable {
        var slot: Int?
        var members: [(name: String, node: Node)] = []

        mutating func insert(_ path: ArraySlice<String>, _ slot: Int) {
            guard let name = path.first else {
                self.slot = slot
                return
            }
            if let index = members.firstIndex(where: { $0.name == name }) {
                members[index].node.insert(path.dropFirst(), slot)
            } else {
                var node = Node()
                node.insert(path.dropFirst(), slot)
                members.append((name, node))
            }
        }
    }

    private var root = Node()
    private var paths: [[String]] = []

    init(_ mapping: EnvelopeMapping) {
        let fields = [
            mapping.eventID, mapping.type, mapping.aggregateType, mapping.aggregateID, mapping.sequence,
            mapping.occurredAt, mapping.version, mapping.correlationID, mapping.metadata, mapping.payload,
        ]
        for case .json(let path) in fields.joined() where !paths.contains(path) {
            root.insert(path[...], paths.count)
            paths.append(path)
        }
    }

    /// The values of the paths.
    struct Values {
        fileprivate var paths: [[String]] = []
        fileprivate var found: [Found?] = []

        fileprivate struct Found {
            /// The unchanged JSON of the value.
            let json: [UInt8]
            /// The text of a string, the digits of a number, or true and false.
            let text: String?
        }

        /// nil for null, an object or an array, and if nothing was found.
        func text(_ path: [String]) -> String? { self[path]?.text }

        /// nil for null, and if nothing was found.
        func json(_ path: [String]) -> [UInt8]? { self[path]?.json }

        private subscript(path: [String]) -> Found? {
            paths.firstIndex(of: path).flatMap { found[$0] }
        }
    }

    /// Reads the whole text.
    ///
    /// - Throws: `JSONError` if the text is not JSON.
    func read(_ value: Span<UInt8>) throws(JSONError) -> Values {
        var values = Values()
        values.paths = paths
        values.found = Array(repeating: nil, count: paths.count)
        var reader = try JSONReader(value)
        try read(&reader, root, &values)
        try reader.finish()
        return values
    }

    private func read(_ reader: inout JSONReader, _ node: Node, _ values: inout Values) throws(JSONError) {
        let kind = try reader.peek()
        guard kind == .object, !node.members.isEmpty else {
            let range = try reader.skipValue()
            if let slot = node.slot { values.found[slot] = try Self.found(reader, kind, range) }
            return
        }
        if let slot = node.slot {
            var whole = reader.reader(at: reader.offset)
            values.found[slot] = try Self.found(reader, kind, whole.skipValue())
        }
        try reader.enterObject()
        while let key = try reader.nextKey() {
            let member = try Self.member(of: node, key, reader)
            if let member { try read(&reader, member, &values) } else { try reader.skipValue() }
        }
    }

    private static func member(
        of node: Node, _ key: JSONText, _ reader: borrowing JSONReader
    ) throws(JSONError) -> Node? {
        let name = try reader.string(of: key)
        return node.members.first { $0.name == name }?.node
    }

    private static func found(
        _ reader: borrowing JSONReader, _ kind: JSONKind, _ range: Range<Int>
    ) throws(JSONError) -> Values.Found? {
        guard kind != .null else { return nil }
        let json = [UInt8](copying: reader.span(of: range))
        switch kind {
        case .string:
            var text = reader.reader(at: range.lowerBound)
            return Values.Found(json: json, text: try text.readString())
        case .number, .boolean: return Values.Found(json: json, text: String(decoding: json, as: UTF8.self))
        case .object, .array, .null: return Values.Found(json: json, text: nil)
        }
    }
}
