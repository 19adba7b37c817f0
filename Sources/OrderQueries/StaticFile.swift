internal import HTTP
internal import RequestValues

/// A file that is served as it is.
public struct StaticFile: Sendable {
    /// The path to serve it at.
    public let path: String
    public let contentType: String
    let bytes: [UInt8]
    private let tag: EntityTag

    /// - Parameter contentType: the value of the header of that name.
    public init(path: String, contentType: String, bytes: [UInt8]) {
        self.path = path
        self.contentType = contentType
        self.bytes = bytes
        tag = EntityTag(of: bytes.span)
    }

    /// What the service can do, in OpenAPI 3.1.
    static let openAPI = StaticFile(
        path: "/openapi.json", contentType: "application/json", bytes: PackageResources.openapi_json)

    /// Browsers ask each time whether it is still the same: a new release shows at once.
    func response(to request: HTTPRequest) -> HTTPResponse {
        let headers = [(name: "ETag", value: tag.text), (name: "Cache-Control", value: "no-cache")]
        if let field = request.header("if-none-match"), tag.isNamed(in: field) {
            return HTTPResponse(status: 304, headers: headers)
        }
        let type = [(name: "Content-Type", value: contentType)]
        return HTTPResponse(status: 200, headers: headers + type, body: .bytes(bytes))
    }
}
