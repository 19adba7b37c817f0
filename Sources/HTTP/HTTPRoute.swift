/// Answers the requests of one method for one path, or for all paths of one form.
public struct HTTPRoute: Sendable {
    public typealias Handler = @Sendable (HTTPRequest) async throws -> HTTPResponse

    public enum Method: String, Sendable {
        /// The handler also answers HEAD. The server then leaves out the body.
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"

        /// All methods that a route of this method answers.
        var names: [String] { self == .get ? ["GET", "HEAD"] : [rawValue] }

        func answers(_ method: String) -> Bool { method == rawValue || self == .get && method == "HEAD" }
    }

    public let method: Method
    /// The path, such as `/v1/orders/{id}`. A part in braces matches any part that is not empty. If several routes
    /// match a path, literal parts have priority over parts in braces, from left to right.
    public let template: String
    /// Whether the responses continue until the client disconnects. They have a separate limit and no time limit.
    public var isStream: Bool
    /// Whether the route needs no token.
    public var isPublic: Bool
    let handler: Handler

    public init(
        _ template: String, method: Method = .get, isStream: Bool = false, isPublic: Bool = false,
        _ handler: @escaping Handler
    ) {
        self.method = method
        self.template = template
        self.isStream = isStream
        self.isPublic = isPublic
        self.handler = handler
    }
}
