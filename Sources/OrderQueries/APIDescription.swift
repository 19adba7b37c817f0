internal import WireJSON

/// Creates the description of the API. It contains only the paths that the service answers.
enum APIDescription {
    /// Removes the paths that the service does not answer.
    ///
    /// - Parameters:
    ///   - base: an OpenAPI document. If it is not a JSON object, this is a programming error.
    ///   - isServed: whether the service answers a path.
    static func document(_ base: [UInt8], isServed: (String) -> Bool) -> [UInt8] {
        do throws(JSONError) {
            var json = try JSONReader(base.span)
            var members: [[UInt8]] = []
            try json.enterObject()
            while let key = try json.nextKey() {
                let name = try json.string(of: key)
                let value = try json.skipValue()
                let text = Array(base[value])
                members.append(quoted(name) + (name == "paths" ? try paths(text, isServed) : text))
            }
            try json.finish()
            return object(members)
        } catch {
            preconditionFailure("the description of the API: \(error)")
        }
    }

    private static func paths(_ text: [UInt8], _ isServed: (String) -> Bool) throws(JSONError) -> [UInt8] {
        var json = try JSONReader(text.span)
        var members: [[UInt8]] = []
        try json.enterObject()
        while let key = try json.nextKey() {
            let path = try json.string(of: key)
            let value = try json.skipValue()
            if isServed(path) { members.append(quoted(path) + text[value]) }
        }
        try json.finish()
        return object(members)
    }

    private static func quoted(_ name: String) -> [UInt8] { Array("\"\(name)\": ".utf8) }

    private static func object(_ members: [[UInt8]]) -> [UInt8] {
        Array("{".utf8) + members.joined(separator: Array(",\n".utf8)) + Array("}\n".utf8)
    }
}
