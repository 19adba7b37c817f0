internal import HTTPTypes

/// Allows pages of other origins to send requests and to read the answers (CORS, Fetch standard, section 3.3). A
/// browser asks before it sends such a request: the preflight.
struct CrossOriginPolicy: Sendable {
    private let origins: Set<String>

    /// Seconds for which a browser keeps the answer to a preflight.
    private static let maxAge = "600"

    /// - Parameter origins: see ``HTTPServerConfiguration/allowedOrigins``.
    init?(_ origins: [String]) {
        guard !origins.isEmpty else { return nil }
        self.origins = Set(origins)
    }

    /// The header fields of every response. `Origin` decides them, so caches must compare it.
    func headers(for request: HTTPTypes.HTTPRequest) -> [(name: String, value: String)] {
        let vary = (name: "Vary", value: "Origin")
        guard let origin = allowedOrigin(of: request) else { return [vary] }
        return [vary, ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", "*")]
    }

    /// - Parameter methods: the methods of the route.
    /// - Returns: the answer to a preflight; nil if the request is not a preflight.
    func preflight(_ request: HTTPTypes.HTTPRequest, methods: [String]) -> HTTPResponse? {
        guard request.method == .options, request.headerFields[.accessControlRequestMethod] != nil else { return nil }
        guard allowedOrigin(of: request) != nil else { return HTTPResponse(status: 204) }
        return HTTPResponse(
            status: 204,
            headers: [
                ("Access-Control-Allow-Methods", methods.joined(separator: ", ")),
                // The asterisk does not include Authorization.
                ("Access-Control-Allow-Headers", "Authorization, *"), ("Access-Control-Max-Age", Self.maxAge),
            ])
    }

    private func allowedOrigin(of request: HTTPTypes.HTTPRequest) -> String? {
        request.headerFields[.origin].flatMap { origins.contains($0) ? $0 : nil }
    }

    /// Whether a text is an origin as browsers send it: a scheme, a host, and the port if it is not the scheme's own.
    static func isOrigin(_ text: String) -> Bool {
        let isWhole = text.wholeMatch(of: #/https?://([a-z0-9.\-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?/#) != nil
        return isWhole && !text.hasSuffix(text.hasPrefix("https:") ? ":443" : ":80")
    }
}
