/// A JSON value as a tree that can be changed. It is for the rare records that must be rewritten, such as events of an
/// older schema.
///
/// Numbers keep their digits and objects the order of their members, so unchanged parts are written as they were.
public indirect enum JSONValue: Hashable, Sendable {
    case object([Member])
    case array([JSONValue])
    case string(String)
    /// The characters of the number in the text.
    case number(String)
    case bool(Bool)
    case null

    public struct Member: Hashable, Sendable {
        public var key: String
        public var value: JSONValue

        public init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// Reads the next value.
    public init(from reader: inout JSONReader) throws(JSONError) {
        switch try reader.peek() {
        case .object:
            var members: [Member] = []
            try reader.enterObject()
            while let key = try reader.nextKey() {
                members.append(Member(try reader.string(of: key), try JSONValue(from: &reader)))
            }
            self = .object(members)
        case .array:
            var elements: [JSONValue] = []
            try reader.enterArray()
            while try reader.nextElement() { elements.append(try JSONValue(from: &reader)) }
            self = .array(elements)
        case .string: self = .string(try reader.readString())
        case .number:
            let range = try reader.readNumber()
            self = .number(try reader.string(of: JSONText(range: range, hasEscapes: false)))
        case .boolean: self = .bool(try reader.readBool())
        case .null:
            _ = try reader.readNull()
            self = .null
        }
    }

    /// Writes the value.
    public func write(to writer: inout JSONWriter) {
        switch self {
        case .object(let members):
            writer.beginObject()
            for member in members {
                writer.key(member.key)
                member.value.write(to: &writer)
            }
            writer.endObject()
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.write(to: &writer) }
            writer.endArray()
        case .string(let text): writer.string(text)
        case .number(let digits): writer.raw(digits)
        case .bool(let value): writer.bool(value)
        case .null: writer.null()
        }
    }
}

extension JSONValue {
    /// The member `key` of an object. Reading returns nil if there is no such member or the value is not an object.
    /// Setting nil removes the member. Setting does nothing if the value is not an object.
    public subscript(key: String) -> JSONValue? {
        get {
            guard case .object(let members) = self else { return nil }
            return members.first { $0.key == key }?.value
        }
        set {
            guard case .object(var members) = self else { return }
            let index = members.firstIndex { $0.key == key }
            switch (index, newValue) {
            case (let index?, let value?): members[index].value = value
            case (let index?, nil): members.remove(at: index)
            case (nil, let value?): members.append(Member(key, value))
            case (nil, nil): break
            }
            self = .object(members)
        }
    }

    /// Renames the member `key` of an object and keeps its position.
    ///
    /// - Returns: false if there is no such member.
    @discardableResult
    public mutating func rename(_ key: String, to name: String) -> Bool {
        guard case .object(var members) = self, let index = members.firstIndex(where: { $0.key == key }) else {
            return false
        }
        members[index].key = name
        self = .object(members)
        return true
    }
}
