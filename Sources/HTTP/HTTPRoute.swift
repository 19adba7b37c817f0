/// What answers the requests of one method for one path, or for all paths of one shape.
public struct HTTPRoute: Sendable {
    public typealias Handler = @Sendable (HTTPRequest) async throws -> HTTPResponse

    public enum Method: String, Sendable {
        /// The same handler answers HEAD, and the server leaves the body away.
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"

        /// All that a route of this method answers.
        var names: [String] { self == .get ? ["GET", "HEAD"] : [rawValue] }
    }

    public let method: Method
    /// The path; a part in braces stands for any one part that is not empty: `/v1/orders/{id}`. Where several routes
    /// match a path, the one whose parts are written out wins, from the left.
    public let template: String
    /// Responses go on until the client leaves: they have a limit of their own and no time limit.
    public var isStream: Bool
    /// Needs no token.
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
