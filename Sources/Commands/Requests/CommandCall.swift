internal import Events
internal import StreamCore
internal import Traces

/// An HTTP request for the routes of commands, independent of the server.
public struct CommandCall: Sendable {
    public let method: String
    /// The percent-decoded path.
    public let path: String
    /// The values of the template's `{parameters}`.
    public let parameters: [String: String]
    /// The query's parameters.
    public let query: [String: String]
    /// Returns the value of a header by its name in lower case.
    public let header: @Sendable (String) -> String?
    public let body: [UInt8]
    /// The caller, which is the scope of idempotency keys. It must not be a secret, but can be the hash of one.
    public let caller: String
    /// The caller's tenant; nil without tenants.
    public let tenantID: String?

    public init(
        method: String, path: String, parameters: [String: String] = [:], query: [String: String] = [:],
        body: [UInt8] = [], caller: String = "", tenantID: String? = nil,
        header: @escaping @Sendable (String) -> String? = { _ in nil }
    ) {
        self.method = method
        self.path = path
        self.parameters = parameters
        self.query = query
        self.header = header
        self.body = body
        self.caller = caller
        self.tenantID = tenantID
    }

    /// Reads an identity from the path.
    ///
    /// - Throws: ``CommandProblem`` if it is not a valid identity.
    public func identity(_ name: String) throws(CommandProblem) -> String {
        let id = parameters[name] ?? ""
        guard (1...FieldReader.maximumIdentityLength).contains(id.utf8.count), !id.utf8.contains(0) else {
            throw .invalidRequest("invalid-identity", "An id must have 1–255 bytes.", in: name)
        }
        return id
    }

    /// The request's properties from its headers: idempotency key, expected version, correlation id and trace.
    ///
    /// - Throws: ``CommandProblem`` for an invalid header.
    public func request(source: String) throws(CommandProblem) -> CommandRequest {
        var request = CommandRequest(metadata: EventMetadata(tenantID: tenantID, source: source))
        request.idempotencyKey = try idempotencyKey()
        request.expectedVersion = try expectedVersion()
        if let correlationID = header("x-correlation-id") {
            guard (1...128).contains(correlationID.utf8.count), !correlationID.utf8.contains(0) else {
                throw .invalidRequest(
                    "invalid-header", "X-Correlation-ID must have 1–128 bytes.", in: "X-Correlation-ID")
            }
            request.correlationID = correlationID
        }
        // The standard (W3C Trace Context) requires receivers to ignore an invalid header.
        if let traceparent = header("traceparent") {
            request.trace = TraceContext(traceparent: traceparent, state: header("tracestate"))
        }
        return request
    }

    /// Accepts a plain key, or a string of RFC 8941.
    private func idempotencyKey() throws(CommandProblem) -> IdempotencyKey? {
        guard let given = header("idempotency-key") else { return nil }
        let isQuoted = given.utf8.count >= 2 && given.hasPrefix("\"") && given.hasSuffix("\"")
        let key = isQuoted ? String(given.dropFirst().dropLast()) : given
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .invalidRequest(
                "invalid-idempotency-key", "A key must consist of 1–255 visible ASCII characters.",
                in: "Idempotency-Key")
        }
        return IdempotencyKey(
            scope: caller, key: key, request: [Array(method.utf8), Array(path.utf8), body])
    }

    /// A version is a strong entity tag, for example `"5"`. `*` requires only that the aggregate exists, which every
    /// rule checks.
    private func expectedVersion() throws(CommandProblem) -> Int64? {
        guard let given = header("if-match"), given != "*" else { return nil }
        guard given.utf8.count >= 3, given.hasPrefix("\""), given.hasSuffix("\""),
            let version = Int64(given.dropFirst().dropLast()), version >= 0
        else {
            throw .invalidRequest(
                "invalid-if-match", "If-Match must be one version in quotes, such as \"5\".", in: "If-Match")
        }
        return version
    }
}

/// The answer of a route.
public struct CommandReplyMessage: Hashable, Sendable {
    public struct Header: Hashable, Sendable {
        public let name: String
        public let value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public let status: Int
    public let headers: [Header]
    public let body: [UInt8]

    public init(status: Int, headers: [Header], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Answers the requests of one method whose path matches a template.
public struct CommandRoute: Sendable {
    public let method: String
    /// The template, for example `/v1/orders/{id}/items`.
    public let template: String
    /// The names of the accepted query parameters.
    public let query: Set<String>
    private let handler: @Sendable (CommandCall) async throws(CommandProblem) -> CommandReplyMessage

    public init(
        _ method: String, _ template: String, query: Set<String> = [],
        _ handler: @escaping @Sendable (CommandCall) async throws(CommandProblem) -> CommandReplyMessage
    ) {
        self.method = method
        self.template = template
        self.query = query
        self.handler = handler
    }

    /// Answers a call. Failures are answered as problems.
    public func answer(_ call: CommandCall) async -> CommandReplyMessage {
        do throws(CommandProblem) {
            return try await handler(call)
        } catch {
            return error.message
        }
    }
}
