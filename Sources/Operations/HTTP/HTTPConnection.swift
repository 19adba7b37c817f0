internal import NIOCore
internal import NIOHTTP1

/// One connection: takes its requests in their order, one at a time, and writes their responses. Lives on its loop, by
/// the channel's events and by what the loop's tasks tell it.
///
/// ```
///  idle ─▶ receiving ─▶ answering ─┬───────────▶ flushing ─▶ idle            (kept alive)
///                                  └─▶ writing ─┘        └─▶ closing ─▶ lingering ─▶ closed
/// ```
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    /// More than browsers and proxies send; a request with more is refused.
    static let maxHeaderFields = 128
    /// Requests received and not begun; beyond it nothing is read.
    private static let maxQueued = 16
    /// What a client may still send while it is told that the connection ends, in bytes and time: closed at once, the
    /// connection would be reset, and the client might never read why.
    private static let maxLingering = 4 << 20
    private static let lingeringTime = TimeAmount.seconds(2)

    private enum Phase {
        /// Between requests.
        case idle
        /// Some of a request is here.
        case receiving
        /// A handler is at work.
        case answering
        /// A handler writes the body.
        case writing
        /// The response is complete, but not with the socket.
        case flushing
        /// The same, of the last response.
        case closing
        /// All is said; the client may read it and close.
        case lingering
        case closed
    }

    private enum Received {
        case request(HTTPRequestHead, HeadFacts)
        /// The last of all: what came there was no request, or one too much.
        case refusal(Problem)
    }

    /// A request and its response.
    private struct Exchange {
        let number: UInt64
        let isHead: Bool
        let knowsChunks: Bool
        let began: NIODeadline
        var isLast: Bool
        var route: Int?
        var task: TaskHandle?
        /// Of those who write the body, until the socket has taken enough of it.
        var waiting: [CheckedContinuation<HTTPBodyWriter.WriteError?, Never>] = []
    }

    /// When ``timedOut(_:)`` is to be called.
    private(set) var deadline: NIODeadline
    /// Its place among its loop's connections.
    var index: Int?

    private let loop: HTTPLoop
    private let gate: ConnectionGate
    private let address: ClientIdentity
    private var context: ChannelHandlerContext?
    private var phase = Phase.idle
    private var exchange: Exchange?
    private var exchanges: UInt64 = 0
    /// A few at most, and none mostly: an array without elements takes no memory.
    private var queue: [Received] = []
    private var incoming: (head: HTTPRequestHead, facts: HeadFacts)?
    private var incomingBytes = 0
    private var isAdvancing = false
    /// No byte of the client's is looked at any more.
    private var isDeaf = false
    private var isInputClosed = false
    private var isDraining = false
    private var lingeringBytes = 0
    /// What waited for the socket when the deadline was set.
    private var unsent = 0

    private var configuration: HTTPServerConfiguration { loop.context.configuration }

    init(_ loop: HTTPLoop, gate: ConnectionGate, address: SocketAddress?) {
        self.loop = loop
        self.gate = gate
        self.address = ClientIdentity(address: address?.ipAddress)
        deadline = .now() + .milliseconds(Int64(loop.context.configuration.idleTimeoutMs))
    }

    // MARK: the channel's events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.opened(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        ended()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if isDraining { close() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            isInputClosed = true
            isDeaf = true
            // A client that only ends its side still wants its answer; of a stream it would never see the end.
            switch phase {
            case .idle, .receiving, .writing, .lingering: close()
            case .answering, .flushing, .closing, .closed: break
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            if phase == .writing { resumeWriters(nil) }
            if phase == .flushing { settle() }
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isDeaf else { return }
        switch error {
        // The client went away within a request; that the channel says as well.
        case HTTPParserError.invalidEOFState, HTTPParserError.closedConnection: break
        case HTTPParserError.headerOverflow, is ByteToMessageDecoderError.PayloadTooLargeError:
            refuse(Problem(status: gate.hasRequestLine ? 431 : 414))
        case HTTPParserError.invalidVersion: refuse(Problem(status: 505, detail: "this server speaks HTTP/1.1"))
        case is HTTPParserError: refuse(Problem(status: 400, detail: "this is not a valid HTTP request"))
        default: close()
        }
    }

    // MARK: receiving

    /// Whether the client's next bytes may be looked at.
    func takes(_ count: Int) -> Bool {
        if phase == .closing || phase == .lingering {
            lingeringBytes += count
            if lingeringBytes > Self.maxLingering { close() }
        }
        // The kernel gives the rest of all when the client has ended its side, wanted or not.
        if queue.count > Self.maxQueued { isDeaf = true }
        guard !isDeaf else { return false }
        if phase == .idle { enter(.receiving, for: configuration.receiveTimeoutMs) }
        return true
    }

    var wantsInput: Bool { queue.count < Self.maxQueued && phase != .flushing }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDeaf else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            let facts = HeadFacts(head)
            incoming = (head, facts)
            incomingBytes = 0
            if let length = facts.contentLength, length > configuration.maxBodyBytes {
                refuse(Problem(status: 413))
            } else if facts.expectsContinue, phase == .receiving {
                context.writeAndFlush(
                    wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
            }
        case .body(let bytes):
            incomingBytes += bytes.readableBytes
            if incomingBytes > configuration.maxBodyBytes { refuse(Problem(status: 413)) }
        case .end:
            guard let (head, facts) = incoming else { return }
            incoming = nil
            gate.requestEnded()
            queue.append(.request(head, facts))
            // The parser takes what follows an upgrade for another protocol.
            if !head.isKeepAlive || facts.wantsUpgrade { isDeaf = true }
            advance()
        }
    }

    /// Takes no more requests, and says why after the answers to those before.
    private func refuse(_ problem: Problem) {
        incoming = nil
        isDeaf = true
        queue.append(.refusal(problem))
        advance()
    }

    private func advance() {
        guard !isAdvancing else { return }
        isAdvancing = true
        defer { isAdvancing = false }
        while phase == .idle || phase == .receiving, !queue.isEmpty {
            exchanges += 1
            switch queue.removeFirst() {
            case .request(let head, let facts): begin(head, facts)
            case .refusal(let problem): beginRefusal(problem)
            }
        }
        if wantsInput { gate.resume() }
    }

    private func begin(_ head: HTTPRequestHead, _ facts: HeadFacts) {
        enter(.answering, for: configuration.requestTimeoutMs)
        exchange = Exchange(
            number: exchanges, isHead: head.method == .HEAD, knowsChunks: head.version != .http1_0, began: .now(),
            isLast: false)
        do throws(Problem) {
            let check = try RequestCheck(head, facts, from: address, loop.context)
            exchange?.route = check.route
            try admit(check)
            loop.submit(
                HTTPLoop.Job(
                    connection: NIOLoopBound(self, eventLoop: loop.eventLoop), number: exchanges,
                    request: check.request, route: check.route, kind: check.kind, client: check.client))
        } catch {
            _ = respond(to: exchanges, error.response)
        }
    }

    private func admit(_ check: RequestCheck) throws(Problem) {
        switch loop.context.admission.begin(check.kind, of: check.client) {
        case nil: return
        case .client?:
            throw .refused(
                429, "this client has too many requests at once", retryAfter: configuration.retryAfterSeconds)
        case .server?:
            throw .refused(
                503, "the server has too many requests at once", retryAfter: configuration.retryAfterSeconds)
        }
    }

    private func beginRefusal(_ problem: Problem) {
        enter(.answering, for: configuration.requestTimeoutMs)
        exchange = Exchange(number: exchanges, isHead: false, knowsChunks: true, began: .now(), isLast: true)
        _ = respond(to: exchanges, problem.response)
    }

    // MARK: answering

    /// The request's task has begun.
    func began(_ number: UInt64, by task: UnsafeCurrentTask) {
        guard exchange?.number == number else { return unsafe task.cancel() }
        exchange?.task = unsafe TaskHandle(task)
    }

    /// The request's task is about to end.
    func ended(_ number: UInt64) {
        if exchange?.number == number { exchange?.task = nil }
    }

    /// Writes the response, or its head when the body is a stream.
    ///
    /// - Returns: what writes the body; nil when there is nothing more to write, or nobody to read it.
    func respond(
        to number: UInt64, _ response: HTTPResponse
    ) -> (@Sendable (HTTPBodyWriter) async throws -> Void)? {
        guard let context, let exchange, exchange.number == number, phase == .answering else { return nil }
        loop.context.metrics.answered(
            route: exchange.route, status: response.status, duration: .now() - exchange.began)
        let isLast = exchange.isLast || isDraining || isDeaf && queue.isEmpty
        let hasBody = response.status >= 200 && response.status != 204 && response.status != 304
        var buffer: ByteBuffer
        switch response.body {
        case .none, .bytes:
            var bytes: [UInt8] = []
            if case .bytes(let own) = response.body { bytes = own }
            buffer = context.channel.allocator.buffer(capacity: 768 + bytes.count)
            write(response, hasBody ? .length(bytes.count) : .none, isLast, into: &buffer)
            if hasBody, !exchange.isHead { buffer.writeBytes(bytes) }
            complete(with: buffer, isLast: isLast)
            return nil
        case .stream(let body):
            let framing: ResponseHeads.Framing = !hasBody ? .none : exchange.knowsChunks ? .chunked : .close
            buffer = context.channel.allocator.buffer(capacity: 768)
            let endsByClosing = isLast || hasBody && !exchange.knowsChunks
            write(response, framing, endsByClosing, into: &buffer)
            guard hasBody, !exchange.isHead else {
                complete(with: buffer, isLast: endsByClosing)
                return nil
            }
            self.exchange?.isLast = endsByClosing
            phase = .writing
            deadline = .distantFuture
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            return phase == .writing ? body : nil
        }
    }

    private func write(
        _ response: HTTPResponse, _ framing: ResponseHeads.Framing, _ isLast: Bool, into buffer: inout ByteBuffer
    ) {
        loop.context.heads.write(response, framing: framing, isLast: isLast, date: loop.date, into: &buffer)
    }

    // MARK: writing a body

    func writer(of number: UInt64) -> HTTPBodyWriter {
        let connection = NIOLoopBound(self, eventLoop: loop.eventLoop)
        return HTTPBodyWriter { [eventLoop = loop.eventLoop] chunk throws(HTTPBodyWriter.WriteError) in
            let error = await withCheckedContinuation { continuation in
                if eventLoop.inEventLoop {
                    connection.value.write(chunk, of: number, continuation)
                } else {
                    eventLoop.execute { connection.value.write(chunk, of: number, continuation) }
                }
            }
            if let error { throw error }
        }
    }

    private func write(
        _ chunk: HTTPChunk, of number: UInt64, _ continuation: CheckedContinuation<HTTPBodyWriter.WriteError?, Never>
    ) {
        guard let context, let exchange, exchange.number == number, phase == .writing else {
            return continuation.resume(returning: .clientGone)
        }
        if !chunk.isEmpty {
            let bytes = exchange.knowsChunks ? chunk.framed : chunk.bare
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        }
        guard phase == .writing else { return continuation.resume(returning: .clientGone) }
        guard !context.channel.isWritable else { return continuation.resume(returning: nil) }
        if exchange.waiting.isEmpty { awaitSocket() }
        self.exchange?.waiting.append(continuation)
    }

    private func resumeWriters(_ error: HTTPBodyWriter.WriteError?) {
        guard let waiting = exchange?.waiting, !waiting.isEmpty else { return }
        exchange?.waiting = []
        deadline = .distantFuture
        for continuation in waiting { continuation.resume(returning: error) }
    }

    /// The body is complete.
    func finishBody(of number: UInt64) {
        guard let exchange, exchange.number == number, phase == .writing else { return }
        let isLast = exchange.isLast || isDraining || isDeaf && queue.isEmpty
        complete(with: ByteBuffer(string: exchange.knowsChunks ? "0\r\n\r\n" : ""), isLast: isLast)
    }

    /// The body will never be complete.
    func abort(_ number: UInt64) {
        if exchange?.number == number { close() }
    }

    // MARK: the end of a response

    private func complete(with buffer: ByteBuffer, isLast: Bool) {
        guard let context else { return }
        exchange = nil
        phase = isLast ? .closing : .flushing
        if isLast {
            isDeaf = true
            queue.removeAll()
            let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
            awaitSocket()
            context.writeAndFlush(wrapOutboundOut(buffer)).whenSuccess { bound.value.linger() }
        } else {
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            guard phase == .flushing else { return }
            if context.channel.isWritable { settle() } else { awaitSocket() }
        }
    }

    /// Goes on to the next request.
    private func settle() {
        if incoming != nil {
            enter(.receiving, for: configuration.receiveTimeoutMs)
        } else {
            enter(.idle, for: configuration.idleTimeoutMs)
        }
        if queue.isEmpty, isDeaf || isDraining && phase == .idle { return linger() }
        advance()
    }

    /// Ends our side, and waits for the client to end its own.
    private func linger() {
        guard phase != .closed else { return }
        isDeaf = true
        guard !isInputClosed else { return close() }
        phase = .lingering
        deadline = .now() + Self.lingeringTime
        context?.close(mode: .output, promise: nil)
    }

    func close() {
        guard phase != .closed else { return }
        isDeaf = true
        context?.close(promise: nil)
    }

    private func ended() {
        guard phase != .closed else { return }
        phase = .closed
        deadline = .distantFuture
        isDeaf = true
        queue.removeAll()
        exchange?.task?.cancel()
        resumeWriters(.clientGone)
        exchange = nil
        loop.closed(self)
    }

    // MARK: time

    private func enter(_ phase: Phase, for milliseconds: Int) {
        self.phase = phase
        deadline = .now() + .milliseconds(Int64(milliseconds))
    }

    /// Gives the client its time to take something of what waits for it.
    private func awaitSocket() {
        unsent = bufferedBytes
        deadline = .now() + .milliseconds(Int64(configuration.writeTimeoutMs))
    }

    private var bufferedBytes: Int {
        (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// The deadline has passed.
    func timedOut(_ now: NIODeadline) {
        switch phase {
        case .idle: isInputClosed ? close() : linger()
        case .receiving:
            loop.context.metrics.timedOut()
            refuse(Problem(status: 408, detail: "the request did not arrive in time"))
        case .answering:
            loop.context.metrics.timedOut()
            exchange?.task?.cancel()
            exchange?.isLast = true
            _ = respond(
                to: exchanges,
                Problem.refused(503, "the answer took too long", retryAfter: configuration.retryAfterSeconds).response)
        case .writing, .flushing, .closing:
            if bufferedBytes < unsent { return awaitSocket() }
            loop.context.metrics.timedOut()
            resumeWriters(.timedOut)
            close()
        case .lingering, .closed: close()
        }
    }

    // MARK: stopping

    /// Comes to an end: at once between requests, otherwise after this one; a stream's task is cancelled.
    func drain() {
        isDraining = true
        switch phase {
        case .idle where context?.channel.isActive == true: linger()
        case .writing: exchange?.task?.cancel()
        case .idle, .receiving, .answering, .flushing, .closing, .lingering, .closed: break
        }
    }
}

/// A request's task, from elsewhere.
@safe private struct TaskHandle {
    // SAFETY: cancelling is what may be done from elsewhere, as long as the task is there; the task takes the handle
    // back before it ends.
    private let task: UnsafeCurrentTask

    init(_ task: UnsafeCurrentTask) {
        unsafe self.task = task
    }

    func cancel() {
        unsafe task.cancel()
    }
}
