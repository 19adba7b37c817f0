internal import NIOHTTP1

/// A request as a route's handler sees it: parsed, decoded and within the server's limits.
public struct HTTPRequest: Sendable {
    /// `GET` or `HEAD`; a handler answers both alike, and the server leaves the body of the second away.
    public let method: String
    /// The path of the target, percent-decoded, without the query.
    public let path: String
    /// The query's parameters in their order, decoded; `+` is a space. A name may come again.
    public let query: [(name: String, value: String)]

    private let parameters: [(name: String, value: String)]
    private let headers: HTTPHeaders
    /// Nil for a request that no server has received.
    var slot: RequestSlot?

    /// - Parameter parameters: the values of the route's `{names}`.
    public init(
        method: String = "GET", path: String, parameters: [(name: String, value: String)] = [],
        query: [(name: String, value: String)] = [], headers: [(name: String, value: String)] = []
    ) {
        self.init(
            method: method, path: path, parameters: parameters, query: query,
            headers: HTTPHeaders(headers.map { ($0.name, $0.value) }))
    }

    init(
        method: String, path: String, parameters: [(name: String, value: String)],
        query: [(name: String, value: String)], headers: HTTPHeaders
    ) {
        self.method = method
        self.path = path
        self.parameters = parameters
        self.query = query
        self.headers = headers
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
        let values = headers[name]
        return values.count > 1 ? values.joined(separator: ", ") : values.first
    }
}
