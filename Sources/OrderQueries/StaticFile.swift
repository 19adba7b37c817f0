internal import HTTP
internal import RequestValues

/// A file that is served unchanged.
public struct StaticFile: Sendable {
    /// The path at which it is served.
    public let path: String
    public let contentType: String
    let bytes: [UInt8]
    private let tag: EntityTag

    /// - Parameter contentType: the value of the header `Content-Type`.
    public init(path: String, contentType: String, bytes: [UInt8]) {
        self.path = path
        self.contentType = contentType
        self.bytes = bytes
        tag = EntityTag(of: bytes.span)
    }

    static let openAPIPath = "/openapi.json"

    /// The description of the API, in OpenAPI 3.1.
    static func openAPI(of readModels: Set<QueryServiceConfiguration.ReadModel>) -> StaticFile {
        let document = APIDescription.document(PackageResources.openapi_json) {
            BuiltInPath(rawValue: $0)?.isServed(by: readModels) ?? true
        }
        return StaticFile(path: openAPIPath, contentType: "application/json", bytes: document)
    }

    /// Returns the file. Browsers ask each time whether it has changed, so a new release is visible at once.
    func response(to request: HTTPRequest) -> HTTPResponse {
        let headers = [(name: "ETag", value: tag.text), (name: "Cache-Control", value: "no-cache")]
        if let field = request.header("if-none-match"), tag.isNamed(in: field) {
            return HTTPResponse(status: 304, headers: headers)
        }
        let type = [(name: "Content-Type", value: contentType)]
        return HTTPResponse(status: 200, headers: headers + type, body: .bytes(bytes))
    }
}
