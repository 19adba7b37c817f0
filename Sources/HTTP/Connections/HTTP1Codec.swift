internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1

/// Takes the place of the library's codec between HTTP/1's parser and the requests, which hides what a server must look
/// at (the version, each `Host`, codings) and reads every target with Foundation's `URLComponents`.
///
/// Hummingbird answers what is no request with a bare 400 and closes at once; here that answer becomes a ``Problem``,
/// and a connection is closed when its client has had the time to read it.
final class HTTP1Codec: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// More than browsers and proxies send; a request with more is refused.
    static let maxHeaderFields = 128
    /// How long a client may take to read the last answer.
    private static let lingering = TimeAmount.seconds(2)

    private let server: HTTPServerContext
    private var context: ChannelHandlerContext?
    /// Why the connection ends.
    private(set) var refusal: Problem?
    /// The connection ends with the answer to the last request so far.
    private var isLast = false
    /// Nothing of the client's is looked at any more.
    private var isDeaf = false
    /// The last request's client knows no chunks.
    private var isOld = false
    /// Requests handed on and not yet answered: which of them are HEAD.
    private var underWay: [Bool] = []
    /// The last of them is not here to its end.
    private var isIncomplete = false
    private var isClosing = false
    private var end: Scheduled<Void>?
    var isDraining = false

    init(_ server: HTTPServerContext) {
        self.server = server
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end?.cancel()
        self.context = nil
    }

    // MARK: requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDeaf else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            do throws(Problem) {
                let request = try request(of: head)
                underWay.append(head.method == .HEAD)
                isIncomplete = true
                context.fireChannelRead(wrapInboundOut(.head(request)))
            } catch {
                refuse(error)
            }
        case .body(let bytes): context.fireChannelRead(wrapInboundOut(.body(bytes)))
        case .end:
            isIncomplete = false
            isDeaf = isLast
            context.fireChannelRead(wrapInboundOut(.end(nil)))
        }
    }

    private func request(of head: HTTPRequestHead) throws(Problem) -> HTTPTypes.HTTPRequest {
        guard let method = try? HTTPTypes.HTTPRequest.Method(head.method) else { throw Self.invalid }
        // Without the first Host.
        var fields = HTTPFields(head.headers, splitCookie: false)
        isOld = head.version == .http1_0
        isLast = isOld || !head.isKeepAlive
        for field in fields {
            switch field.name.canonicalName {
            // RFC 9112, section 3.2.
            case "host": throw Problem(status: 400, detail: "a request has one Host header")
            // The parser would take another coding before it for none, and a client of HTTP/1.0 knows none: a proxy may
            // find another end of such a body (RFC 9112, section 6.1).
            case "transfer-encoding" where isOld || field.value.lowercased() != "chunked",
                "transfer-encoding" where fields[values: .transferEncoding].count > 1:
                throw Problem(status: 400, detail: "the body has a transfer coding that is not understood")
            // The parser takes what follows for another protocol.
            case "upgrade": isLast = true
            default: break
            }
        }
        let host = head.headers.first(name: "Host")
        guard host != nil || isOld else { throw Problem(status: 400, detail: "a request has one Host header") }
        // Hummingbird ends a connection after the answer to a request that says so.
        if isLast { fields[.connection] = "close" }
        return HTTPTypes.HTTPRequest(
            method: method, scheme: "http", authority: host, path: head.uri, headerFields: fields)
    }

    private static let invalid = Problem(status: 400, detail: "this is not a valid HTTP request")

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow, is ByteToMessageDecoderError.PayloadTooLargeError:
            refuse(Problem(status: 431))
        case HTTPParserError.invalidVersion: refuse(Problem(status: 505, detail: "this server speaks HTTP/1.1"))
        case is HTTPParserError: refuse(Self.invalid)
        default: context.fireErrorCaught(error)
        }
    }

    /// Takes no more requests. What is under way is answered first.
    func refuse(_ problem: Problem) {
        guard !isDeaf else { return }
        refusal = problem
        isDeaf = true
        // Otherwise Hummingbird answers, after all that are under way.
        isLast = isIncomplete
        context?.fireErrorCaught(HTTPParserError.unknown)
    }

    /// The answer to the request that is not here to its end becomes the last.
    func endAfterAnswer() {
        isLast = true
        isDeaf = true
    }

    var hasEnded: Bool { isLast && underWay.isEmpty }

    // MARK: answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let response) where underWay.isEmpty:
            // Hummingbird's own.
            guard let refusal else { return context.write(wrapOutboundOut(.head(.init(response))), promise: promise) }
            server.metrics.answered(route: nil, status: refusal.status, duration: .zero)
            let (head, body) = server.fields.whole(refusal.response)
            var http1 = HTTPResponseHead(head)
            http1.headers.add(name: "Connection", value: "close")
            context.write(wrapOutboundOut(.head(http1)), promise: promise)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        case .head(let response):
            var head = HTTPResponseHead(response)
            if response.status.kind != .informational, isDraining || isLast, underWay.count == 1 {
                head.headers.add(name: "Connection", value: "close")
                if isOld { head.version = .http1_0 }
            }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body(let bytes): context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: promise)
        case .end:
            let isHead = !underWay.isEmpty && underWay.removeFirst()
            // The encoder would end a body that it takes for one in chunks.
            let end = isHead ? HTTPServerResponsePart.body(.byteBuffer(ByteBuffer())) : .end(nil)
            context.write(wrapOutboundOut(end), promise: promise)
        }
    }

    /// Closed at once, a connection would lose what waits for the socket, and one whose client still sends would be
    /// reset before the client has read its answer.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        context.channel.closeFuture.cascade(to: promise)
        guard !isClosing, mode != .input else { return }
        isClosing = true
        isDeaf = true
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in self.closeOutput() }
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer()))), promise: written)
    }

    private func closeOutput() {
        guard let context else { return }
        context.close(mode: .output, promise: nil)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        end = context.eventLoop.scheduleTask(in: Self.lingering) { bound.value.close(promise: nil) }
        // Whoever has read so far has stopped.
        context.read()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if isClosing { context.read() }
    }
}
