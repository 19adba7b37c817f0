internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes

/// Answers a request that Hummingbird has received: checks whether it is admitted, runs the handler of its route, and
/// writes the response.
struct Responder: Sendable {
    private let server: HTTPServerContext

    init(_ server: HTTPServerContext) {
        self.server = server
    }

    /// Answers a request, in the connection's task and on its thread.
    ///
    /// - Throws: if the connection must be closed.
    @concurrent func respond(
        to request: Request, _ writer: consuming ResponseWriter, over channel: any Channel
    ) async throws {
        let watch = try RequestWatch.of(channel)
        defer { watch.value.answerEnded() }
        let began = NIODeadline.now()
        var call = Call()
        defer { call.slot?.end() }
        let span = server.tracer.flatMap { ServerSpan(request, $0, isEncrypted: server.configuration.tls != nil) }
        defer { span?.end() }
        var response: HTTPResponse
        do {
            try await admit(request, &call, watch, channel)
            response = try await ServerSpan.within(span) { try await answer(call, request, watch) }
        } catch {
            response = try problem(of: error, call, watch.value).response
        }
        if let origins = server.origins { response.headers += origins.headers(for: request.head) }
        span?.answered(route: call.route?.template, status: response.status)
        server.metrics.answered(route: call.entry?.template, status: response.status, duration: .now() - began)
        if !writeAtOnce(response, to: request, watch.value, channel) {
            try await write(response, of: call, to: request, writer, watch, channel)
        }
        if watch.value.hasEnded { throw CancellationError() }
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
        _ request: Request, _ call: inout Call, _ watch: NIOLoopBound<RequestWatch>, _ channel: any Channel
    ) async throws {
        let target = request.head.path ?? ""
        guard target.utf8.count <= server.configuration.maxTargetBytes else { throw Problem(status: 414) }
        call.target = try RequestTarget(target)
        // The host in the target has priority over the header (RFC 9112, section 3.2.2).
        if let hosts = server.hosts {
            try check(call.target.authority ?? request.head.authority, hosts, watch.value)
        }
        guard let match = server.routes.now.match(call.target.parts) else {
            throw Problem(status: 404, detail: "no route matches this path")
        }
        (call.entry, call.parameters) = match
        call.preflight = server.origins?.preflight(request.head, methods: match.entry.methods)
        if call.preflight != nil { return }
        let route = try match.entry.route(of: request.method.rawValue)
        call.route = route
        var client = watch.value.client
        if let tokens = server.configuration.tokens, !route.isPublic {
            let token = try Self.token(request.headers[.authorization], tokens)
            client = ClientIdentity(token: token.digest)
            call.token = token
        }
        call.body = try await body(of: request, watch, channel)
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
        of request: Request, _ watch: NIOLoopBound<RequestWatch>, _ channel: any Channel
    ) async throws -> [UInt8] {
        let limit = server.limits.maxBodyBytes
        if let length = request.headers[.contentLength], Int(length) ?? .max > limit {
            throw NIOTooManyBytesError(maxBytes: limit)
        }
        if !watch.value.isComplete, request.headers[.expect]?.lowercased() == "100-continue" {
            let head = HTTPTypes.HTTPResponse(status: .continue)
            channel.pipeline.syncOperations.writeAndFlush(NIOAny(HTTPResponsePart.head(head)), promise: nil)
        }
        // The bodies of these methods are ignored, and are usually complete by now.
        let isDropped = request.method == .get || request.method == .head
        if isDropped, watch.value.isComplete { return [] }
        let body = try await request.body.collect(upTo: limit)
        guard watch.value.isComplete else { throw HTTPParserError.invalidEOFState }
        return isDropped ? [] : Array(body.readableBytesView)
    }

    // MARK: the answer

    private func answer(
        _ call: Call, _ request: Request, _ watch: NIOLoopBound<RequestWatch>
    ) async throws -> HTTPResponse {
        if let preflight = call.preflight { return preflight }
        guard let route = call.route, let slot = call.slot else { throw Problem(status: 404) }
        let request = HTTPRequest(
            method: request.method.rawValue, target: call.target, parameters: call.parameters, headers: request.headers,
            body: call.body, token: call.token, slot: slot)
        return try await RequestWatch.run(watch, slot, isStream: false) { try await route.handler(request) }
    }

    private func problem(of error: any Error, _ call: Call, _ watch: RequestWatch) throws -> Problem {
        switch error {
        case let problem as Problem: return problem
        case let error as RequestTarget.Invalid: return Problem(status: 400, detail: error.detail)
        case is CancellationError:
            if watch.hasLeft { throw error }
            return .refused(503, "the server is stopping", retryAfter: server.configuration.retryAfterSeconds)
        case is NIOTooManyBytesError:
            watch.endAfterAnswer()
            return Problem(status: 413)
        case is HTTPParserError: return watch.refusal
        default:
            server.failures.note(error, route: call.route?.template ?? "none")
            return Problem(status: 500)
        }
    }

    @concurrent private func write(
        _ response: HTTPResponse, of call: Call, to request: Request, _ writer: consuming ResponseWriter,
        _ watch: NIOLoopBound<RequestWatch>, _ channel: any Channel
    ) async throws {
        guard case .stream(let body) = response.body, let slot = call.slot, let route = call.route else {
            let (head, body) = server.fields.whole(response)
            let isSent = request.method != .head && body.readableBytes > 0
            return try await writer.write(
                response: head, body: isSent ? ResponseBody(byteBuffer: body) : ResponseBody())
        }
        guard request.method != .head else { return try await writer.writeResponse(server.fields.head(of: response)) }
        _ = try await writer.writeHead(server.fields.head(of: response))
        if route.isStream { server.metrics.streamBegan() }
        defer { if route.isStream { server.metrics.streamEnded() } }
        do {
            try await RequestWatch.run(watch, slot, isStream: true) { try await body(HTTPBodyWriter(channel)) }
        } catch {
            if !(error is HTTPBodyWriter.WriteError || error is CancellationError) {
                server.failures.note(error, route: route.template)
            }
            // The client then sees that the response is incomplete.
            throw error
        }
        // With HTTP/2, the end of the task would discard bytes that are not written.
        try await channel.writeAndFlush(HTTPResponsePart.end(nil)).get()
    }

    /// Writes a whole response directly to the channel, if the channel is writable, which most are. The library's
    /// writer, which can wait for the channel, uses more processor time.
    ///
    /// - Returns: false if the response is a stream, or the channel is not writable because the client reads too
    ///   slowly.
    private func writeAtOnce(
        _ response: HTTPResponse, to request: Request, _ watch: RequestWatch, _ channel: any Channel
    ) -> Bool {
        if case .stream = response.body { return false }
        guard channel.isWritable else { return false }
        let (head, body) = server.fields.whole(response)
        watch.write(head, request.method == .head ? ByteBuffer() : body, to: channel)
        return true
    }
}

extension HTTPBodyWriter {
    /// Writes directly to the channel. The library's writer accepts nothing from a cancelled task, but a stream may
    /// write final bytes after its cancellation.
    init(_ channel: any Channel) {
        self.init { chunk throws(WriteError) in
            guard chunk.bytes.readableBytes > 0 else { return }
            do { try await channel.writeAndFlush(HTTPResponsePart.body(chunk.bytes)).get() } catch { throw .clientGone }
        }
    }
}
