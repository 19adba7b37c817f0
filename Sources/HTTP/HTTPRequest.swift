internal import HTTPTypes

/// A request as a route's handler sees it: complete, decoded and within the server's limits.
public struct HTTPRequest: Sendable {
    /// The route's, or `HEAD`, which a handler answers as `GET`.
    public let method: String
    /// The path of the target, percent-decoded, without the query.
    public var path: String { "/" + parts.joined(separator: "/") }
    /// The query's parameters in their order, decoded; `+` is a space. A name may come again.
    public let query: [(name: String, value: String)]
    /// Empty for `GET` and `HEAD`, whatever the client has sent.
    public let body: [UInt8]
    /// A name of the token that the request has brought, which tells nothing of the token; empty without one.
    public let caller: String
    /// The tenant that the token belongs to; nil for a token of nobody in particular, and without a token.
    public let tenantID: String?

    private let parts: [String]
    private let parameters: [(name: String, value: String)]
    private let headers: HTTPFields
    /// Nil for a request that no server has received.
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

    /// Does a part of the handler's work that has limits of its own, and holds nothing of the other requests' share
    /// meanwhile.
    ///
    /// A client that ends its side of the connection while its request waits is taken to have gone, and the task is
    /// cancelled.
    ///
    /// - Throws: a ``Problem`` when there is too much of such work, `CancellationError` when the client has gone, and
    ///   what `body` throws.
    public func working<Answer>(
        as work: HTTPWork, _ body: () async throws -> Answer
    ) async throws -> Answer {
        guard let slot else { return try await body() }
        guard let share = try slot.move(to: work) else { throw CancellationError() }
        defer { slot.moveBack(to: share) }
        return try await body()
    }

    /// The part of the path that stands for `{name}` in the route's template, percent-decoded and never empty; empty
    /// when the template has no such name.
    public func parameter(_ name: String) -> String {
        parameters.first { $0.name == name }?.value ?? ""
    }

    /// A header's value; the values of several of the same name are joined by `, `. Nil when there is none.
    public func header(_ name: String) -> String? {
        guard let name = HTTPField.Name(name) else { return nil }
        return headers[name]
    }
}
