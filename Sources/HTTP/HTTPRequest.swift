internal import HTTPTypes

/// A request for the handler of a route: complete, decoded and within the server's limits.
public struct HTTPRequest: Sendable {
    /// The route's method, or `HEAD`, which a handler answers like `GET`.
    public let method: String
    /// The path of the target, percent-decoded, without the query.
    public var path: String { "/" + parts.joined(separator: "/") }
    /// The decoded parameters of the query, in their order. `+` is a space. Names may repeat.
    public let query: [(name: String, value: String)]
    /// The body. It is empty for `GET` and `HEAD`, even if the client sent one.
    public let body: [UInt8]
    /// A name for the request's token, from which the token cannot be derived; empty without a token.
    public let caller: String
    /// The tenant of the token; nil without a token, or if the token belongs to no tenant.
    public let tenantID: String?

    private let parts: [String]
    private let parameters: [(name: String, value: String)]
    private let headers: HTTPFields
    /// nil for a request that was not received by a server.
    private let slot: RequestSlot?

    /// - Parameter parameters: the values of the route's `{names}`.
    public init(
        method: String = "GET", path: String, parameters: [(name: String, value: String)] = [],
        query: [(name: String, value: String)] = [], headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        caller: String = "", tenantID: String? = nil
    ) {
        self.method = method
        self.query = query
        self.body = body
        self.caller = caller
        self.tenantID = tenantID
        self.parameters = parameters
        self.headers = ResponseFields.own(headers)
        parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
        slot = nil
    }

    init(
        method: String, target: RequestTarget, parameters: [(name: String, value: String)], headers: HTTPFields,
        body: [UInt8], token: KnownToken?, slot: RequestSlot
    ) {
        self.method = method
        self.body = body
        caller = token?.name ?? ""
        tenantID = token?.tenantID
        self.parameters = parameters
        self.headers = headers
        self.slot = slot
        parts = target.parts
        query = target.query
    }

    /// Runs a part of the handler's work under separate limits. Meanwhile the request does not count against the limit
    /// of ordinary requests.
    ///
    /// If the client closes its side of the connection while its request waits, it counts as disconnected and the task
    /// is cancelled.
    ///
    /// - Throws: a ``Problem`` if a limit is reached, `CancellationError` if the client has disconnected, or an error
    ///   of `body`.
    public func working<Answer>(
        as work: HTTPWork, _ body: () async throws -> Answer
    ) async throws -> Answer {
        guard let slot else { return try await body() }
        guard let share = try slot.move(to: work) else { throw CancellationError() }
        defer { slot.moveBack(to: share) }
        return try await body()
    }

    /// The part of the path at `{name}` of the route's template, percent-decoded. It is empty only if the template has
    /// no such name.
    public func parameter(_ name: String) -> String {
        parameters.first { $0.name == name }?.value ?? ""
    }

    /// The value of a header; nil if there is none. The values of repeated headers are joined by `, `.
    public func header(_ name: String) -> String? {
        guard let name = HTTPField.Name(name) else { return nil }
        return headers[name]
    }
}
