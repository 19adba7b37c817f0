internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOSSL

/// Translates between the HTTP/1 parser and the requests, and writes responses. Unlike the library's codec, it checks
/// what a server must check (the version, each `Host`, transfer codings), and does not parse each target with
/// Foundation's `URLComponents`. It closes a connection only after its client has had time to read the last answer.
final class HTTP1Codec: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = ByteBuffer

    /// Maximum number of header fields. Browsers and proxies send fewer.
    static let maxHeaderFields = 128
    /// Time that a client has to read the last answer.
    private static let lingering = TimeAmount.seconds(2)

    private let server: HTTPServerContext
    private var context: ChannelHandlerContext?
    private var encoder = HTTP1Encoder()
    /// Whether the connection ends after the answer to the last request so far.
    private var isLast = false
    /// Whether further input of the client is ignored.
    private var isDeaf = false
    /// Whether the last request uses HTTP/1.0, which has no chunked bodies.
    private var isOld = false
    /// For each request that is passed on and not yet answered: whether its method is HEAD.
    private var underWay: [Bool] = []
    /// Whether the last of them is not completely received.
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
        // These fields do not contain the first Host header.
        var fields = HTTPFields(head.headers, splitCookie: false)
        isOld = head.version == .http1_0
        // After CONNECT and after the header Upgrade, the parser treats further bytes as another protocol.
        isLast = isOld || !head.isKeepAlive || head.method == .CONNECT
        for field in fields {
            switch field.name.canonicalName {
            // RFC 9112, section 3.2.
            case "host": throw Problem(status: 400, detail: "a request must have exactly one Host header")
            // The parser would ignore another coding in front of `chunked`, and HTTP/1.0 has no codings. A proxy might
            // find another end of such a body (RFC 9112, section 6.1).
            case "transfer-encoding" where isOld || field.value.lowercased() != "chunked",
                "transfer-encoding" where fields[values: .transferEncoding].count > 1:
                throw Problem(status: 400, detail: "the server does not support the transfer coding of the body")
            case "upgrade": isLast = true
            default: break
            }
        }
        // RFC 9110, section 10.1.1.
        if isOld { fields[.expect] = nil }
        let host = head.headers.first(name: "Host")
        guard host != nil || isOld else {
            throw Problem(status: 400, detail: "a request must have exactly one Host header")
        }
        return HTTPTypes.HTTPRequest(
            method: method, scheme: "http", authority: host, path: head.uri, headerFields: fields)
    }

    private static let invalid = Problem(status: 400, detail: "this is not a valid HTTP request")

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow, is ByteToMessageDecoderError.PayloadTooLargeError:
            refuse(Problem(status: 431))
        case HTTPParserError.invalidVersion:
            refuse(Problem(status: 505, detail: "the server supports HTTP/1.1, not this version"))
        case is HTTPParserError: refuse(Self.invalid)
        // The reason came before.
        case ByteToMessageDecoderError.dataReceivedInErrorState: break
        // The client has closed its side without saying so in TLS. It still reads the answers to complete requests.
        case NIOSSLError.uncleanShutdown: break
        default: context.fireErrorCaught(error)
        }
    }

    /// Accepts no more requests. The problem answers the request that is being received. If there is none, it follows
    /// the answers to earlier requests.
    func refuse(_ problem: Problem) {
        guard !isDeaf else { return }
        isDeaf = true
        isLast = isIncomplete
        context?.fireErrorCaught(problem)
    }

    /// Ends the connection after the answer to the current request, if that is the last one so far. If others follow,
    /// it is completely received.
    func endAfterAnswer() {
        guard underWay.count == 1 else { return }
        isLast = true
        isDeaf = true
    }

    var hasEnded: Bool { isLast && underWay.isEmpty }

    // MARK: answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let response): append(response)
        case .body(let bytes): append(bytes, context)
        case .end:
            let isHead = !underWay.isEmpty && underWay.removeFirst()
            // An answer to HEAD has no body, so it has no end of a body in chunks.
            if !isHead { encoder.appendEnd() }
        }
        if let promise { context.write(wrapOutboundOut(encoder.take() ?? ByteBuffer()), promise: promise) }
    }

    /// Takes the head and the body of a response. Its end follows as a part.
    func append(_ head: HTTPTypes.HTTPResponse, _ body: ByteBuffer) {
        guard let context else { return }
        append(head)
        append(body, context)
    }

    private func append(_ head: HTTPTypes.HTTPResponse) {
        let isFinal = head.status.kind != .informational
        // A refusal answers no request.
        let endsConnection = underWay.isEmpty || isFinal && (isDraining || isLast) && underWay.count == 1
        encoder.append(head, isOld: isOld && endsConnection && !underWay.isEmpty, isLast: endsConnection)
    }

    private func append(_ body: ByteBuffer, _ context: ChannelHandlerContext) {
        encoder.append(body) { context.write(wrapOutboundOut($0), promise: nil) }
    }

    func flush(context: ChannelHandlerContext) {
        if let bytes = encoder.take() { context.write(wrapOutboundOut(bytes), promise: nil) }
        context.flush()
    }

    /// Closes the connection after the output was sent. If it were closed at once, waiting output would be lost, and a
    /// client that still sends would receive a reset before it has read its answer.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        context.channel.closeFuture.cascade(to: promise)
        guard !isClosing, mode != .input else { return }
        isClosing = true
        isDeaf = true
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in self.closeOutput() }
        context.writeAndFlush(wrapOutboundOut(encoder.take() ?? ByteBuffer()), promise: written)
    }

    private func closeOutput() {
        guard let context else { return }
        context.close(mode: .output, promise: nil)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        end = context.eventLoop.scheduleTask(in: Self.lingering) { bound.value.close(promise: nil) }
        // Read on, because the previous reader has stopped.
        context.read()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if isClosing { context.read() }
    }
}
