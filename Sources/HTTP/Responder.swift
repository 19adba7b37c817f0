internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes

/// Answers a request: checks whether it is admitted, reads its body, runs the handler of its route, and writes the
/// response.
struct Responder: Sendable {
    typealias Head = HTTPTypes.HTTPRequest

    let server: HTTPServerContext

    init(_ server: HTTPServerContext) {
        self.server = server
    }

    /// Answers a request, in its task and on the thread of its connection.
    ///
    /// - Returns: false if the connection must be closed.
    func respond(
        to head: Head, _ reader: NIOLoopBound<RequestReader>, _ watch: NIOLoopBound<RequestWatch>,
        over channel: any Channel
    ) async -> Bool {
        defer { watch.value.answerEnded() }
        let began = NIODeadline.now()
        var call = Call()
        defer { call.slot?.end() }
        let span = server.tracer.flatMap { ServerSpan(head, $0, isEncrypted: server.configuration.tls != nil) }
        defer { span?.end() }
        var response: HTTPResponse
        do {
            try await admit(head, &call, reader, watch, channel)
            response = try await ServerSpan.within(span) { try await answer(call, head, watch) }
        } catch {
            guard let problem = problem(of: error, call, watch.value) else { return false }
            response = problem.response
        }
        // The client may send the body that it announced, or not. Nobody knows where the next request would begin.
        if !watch.value.isComplete, head.headerFields[.expect] != nil { watch.value.endAfterAnswer() }
        if let origins = server.origins { response.headers += origins.headers(for: head) }
        span?.answered(route: call.route?.template, status: response.status)
        server.metrics.answered(route: call.entry?.template, status: response.status, duration: .now() - began)
        do { try await write(response, of: call, to: head, watch, channel) } catch { return false }
        return true
    }

    /// The data of a request, as far as it is known.
    private struct Call {
        var target = RequestTarget()
        var entry: RouteTable.Entry?
        var parameters: [(name: String, value: String)] = []
        /// The answer to a preflight request.
        var preflight: HTTPResponse?
        var route: HTTPRoute?
        var body: [UInt8] = []
        var token: KnownToken?
        /// The share of the server that the request holds.
        var slot: RequestSlot?
    }

    // MARK: admission

    private func admit(
        _ head: Head, _ call: inout Call, _ reader: NIOLoopBound<RequestReader>, _ watch: NIOLoopBound<RequestWatch>,
        _ channel: any Channel
    ) async throws {
        let target = head.path ?? ""
        guard target.utf8.count <= server.configuration.maxTargetBytes else { throw Problem(status: 414) }
        call.target = try RequestTarget(target)
        // The host in the target has priority over the header (RFC 9112, section 3.2.2).
        if let hosts = server.hosts {
            try check(call.target.authority ?? head.authority, hosts, watch.value)
        }
        guard let match = server.routes.now.match(call.target.parts) else {
            throw Problem(status: 404, detail: "no route matches this path")
        }
        (call.entry, call.parameters) = match
        call.preflight = server.origins?.preflight(head, methods: match.entry.methods)
        if call.preflight != nil { return }
        let route = try match.entry.route(of: head.method.rawValue)
        call.route = route
        var client = watch.value.client
        if let tokens = server.configuration.tokens, !route.isPublic {
            let token = try Self.token(head.headerFields[.authorization], tokens)
            client = ClientIdentity(token: token.digest)
            call.token = token
        }
        call.body = try await body(of: head, reader, watch, channel)
        call.slot = try RequestSlot(route.isStream ? .stream : .request, of: client, in: server.admission)
    }

    /// Checks the host by ``HostPolicy``. Most connections name only one host, which is checked once.
    private func check(_ host: String?, _ policy: HostPolicy, _ watch: RequestWatch) throws(Problem) {
        // HTTP/1.0 does not require a host.
        if host == watch.acceptedHost || host == nil && watch.isHTTP1 { return }
        guard let host else { throw Problem(status: 400, detail: "a request must name its host") }
        switch policy.verdict(on: host, local: watch.localAddress) {
        case .accepted: watch.acceptedHost = host
        case .malformed: throw Problem(status: 400, detail: "the Host header is not a valid host")
        case .misdirected:
            throw Problem(
                status: 421,
                detail:
                    "this service does not allow this Host header; its operator can add the host to http.allowed_hosts")
        }
    }

    /// Checks the bearer token (RFC 6750).
    private static func token(_ authorization: String?, _ tokens: TokenSource) throws(Problem) -> KnownToken {
        let realm = #"Bearer realm="millrace""#
        guard let authorization else {
            throw Problem(status: 401, detail: "a bearer token is required", headers: [("WWW-Authenticate", realm)])
        }
        let words = authorization.split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bearer", let token = tokens.known(words[1]) else {
            throw Problem(
                status: 401, detail: "the bearer token is not valid",
                headers: [("WWW-Authenticate", realm + #", error="invalid_token""#)])
        }
        return token
    }

    /// Waits for the whole body. A request that arrives slowly holds no share of the server.
    private func body(
        of head: Head, _ reader: NIOLoopBound<RequestReader>, _ watch: NIOLoopBound<RequestWatch>,
        _ channel: any Channel
    ) async throws -> [UInt8] {
        let limit = server.limits.maxBodyBytes
        if let length = head.headerFields[.contentLength], Int(length) ?? .max > limit {
            watch.value.endAfterAnswer()
            throw Problem(status: 413)
        }
        if !watch.value.isComplete, head.headerFields[.expect]?.lowercased() == "100-continue" {
            let head = HTTPTypes.HTTPResponse(status: .continue)
            channel.pipeline.syncOperations.writeAndFlush(NIOAny(HTTPResponsePart.head(head)), promise: nil)
        }
        let body = try await RequestReader.body(reader, upTo: limit)
        // The bodies of these methods are ignored.
        return head.method == .get || head.method == .head ? [] : Array(body.readableBytesView)
    }

    // MARK: the answer

    private func answer(
        _ call: Call, _ head: Head, _ watch: NIOLoopBound<RequestWatch>
    ) async throws -> HTTPResponse {
        if let preflight = call.preflight { return preflight }
        guard let route = call.route, let slot = call.slot else { throw Problem(status: 404) }
        let request = HTTPRequest(
            method: head.method.rawValue, target: call.target, parameters: call.parameters,
            headers: head.headerFields, body: call.body, token: call.token, slot: slot)
        return try await RequestWatch.run(watch, slot, isStream: false) { try await route.handler(request) }
    }

    /// - Returns: nil if nobody waits for an answer.
    private func problem(of error: any Error, _ call: Call, _ watch: RequestWatch) -> Problem? {
        switch error {
        case let problem as Problem: return problem
        case let error as RequestTarget.Invalid: return Problem(status: 400, detail: error.detail)
        case is CancellationError:
            if watch.hasLeft { return nil }
            return .refused(503, "the server is stopping", retryAfter: server.configuration.retryAfterSeconds)
        default:
            server.failures.note(error, route: call.route?.template ?? "none")
            return Problem(status: 500)
        }
    }

    private func write(
        _ response: HTTPResponse, of call: Call, to head: Head, _ watch: NIOLoopBound<RequestWatch>,
        _ channel: any Channel
    ) async throws {
        guard case .stream(let body) = response.body, let slot = call.slot, let route = call.route else {
            let (fields, body) = server.fields.whole(response)
            return try await write(fields, head.method == .head ? ByteBuffer() : body, watch.value, channel)
        }
        let fields = server.fields.head(of: response)
        guard head.method != .head else { return try await write(fields, ByteBuffer(), watch.value, channel) }
        try await channel.writeAndFlush(HTTPResponsePart.head(fields)).get()
        if route.isStream { server.metrics.streamBegan() }
        defer { if route.isStream { server.metrics.streamEnded() } }
        do {
            try await RequestWatch.run(watch, slot, isStream: true) { try await body(HTTPBodyWriter(channel)) }
        } catch {
            if !(error is HTTPBodyWriter.WriteError || error is CancellationError) {
                server.failures.note(error, route: route.template)
            }
            // The connection is then closed, so the client sees that the response is incomplete.
            throw error
        }
        try await channel.writeAndFlush(HTTPResponsePart.end(nil)).get()
    }

    /// Writes a whole response. If the client reads too slowly, it waits until the socket has accepted the response.
    private func write(
        _ fields: HTTPTypes.HTTPResponse, _ body: ByteBuffer, _ watch: RequestWatch, _ channel: any Channel
    ) async throws {
        guard !channel.isWritable else { return watch.write(fields, body, to: channel) }
        let accepted = channel.eventLoop.makePromise(of: Void.self)
        watch.write(fields, body, to: channel, promise: accepted)
        try await accepted.futureResult.get()
    }
}

extension HTTPBodyWriter {
    /// A stream may write final bytes after its task was cancelled.
    init(_ channel: any Channel) {
        self.init { chunk throws(WriteError) in
            guard chunk.bytes.readableBytes > 0 else { return }
            do { try await channel.writeAndFlush(HTTPResponsePart.body(chunk.bytes)).get() } catch { throw .clientGone }
        }
    }
}
