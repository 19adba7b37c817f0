/// A domain's part of a service's OpenAPI 3.1 description, as bytes of JSON.
public struct OpenAPIPart: Sendable {
    /// The members of `paths`, as an object.
    public let paths: [UInt8]
    /// The members of `components.schemas`, as an object.
    public let schemas: [UInt8]

    public init(paths: [UInt8], schemas: [UInt8]) {
        self.paths = paths
        self.schemas = schemas
    }

    /// The description of a service with some domains.
    ///
    /// - Parameters:
    ///   - title: the service's name.
    ///   - parts: the parts of its domains. Their paths and schemas must have different names.
    public static func document(title: String, of parts: [OpenAPIPart]) -> [UInt8] {
        var members = PackageResources.openapi_json[...]
        // The file is an object. The generated members become its last members.
        while members.last != UInt8(ascii: "}") { members.removeLast() }
        members.removeLast()
        let shared = OpenAPIPart(paths: [], schemas: PackageResources.openapi_schemas_json)
        var document = Array(members)
        document += Array(#","info":{"title":"\#(title)","version":"1"},"paths":{"#.utf8)
        document += joined(parts.map(\.paths))
        document += Array(#"},"components":{"#.utf8) + inside(PackageResources.openapi_components_json)
        document += Array(#","schemas":{"#.utf8)
        document += joined(([shared] + parts).map(\.schemas)) + Array("}}}".utf8)
        return document
    }

    private static func joined(_ objects: [[UInt8]]) -> [UInt8] {
        Array(objects.map(inside).joined(separator: [UInt8(ascii: ",")]))
    }

    /// The text between the braces of an object.
    private static func inside(_ object: [UInt8]) -> [UInt8] {
        guard let first = object.firstIndex(of: UInt8(ascii: "{")), let last = object.lastIndex(of: UInt8(ascii: "}"))
        else { return [] }
        return Array(object[(first + 1)..<last])
    }
}
