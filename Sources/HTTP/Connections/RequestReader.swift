internal import DequeModule
internal import Dispatch
internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes

/// The last handler of an HTTP/1 connection or an HTTP/2 stream. It passes the requests to a ``Responder``, one at a
/// time and in order, each in its own task. It reads no further from the socket than the current request needs.
final class RequestReader: ChannelDuplexHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// What is done with the parts of the current request.
    private enum Progress {
        /// There is no request, or it is answered and completely read.
        case done
        /// The head was passed on. The body waits until it is wanted.
        case begun
        case collecting(limit: Int)
        /// The request was answered before its body arrived.
        case dropping
        /// The request is completely read, but not answered.
        case read
    }

    private let responder: Responder
    private let watch: RequestWatch
    private let channel: any Channel
    private var context: ChannelHandlerContext?
    /// The parts that were received and not used yet.
    private var parts = Deque<HTTPRequestPart>()
    private var progress = Progress.done
    /// The body of the current request, as far as it was collected.
    private var body = ByteBuffer()
    /// The task that waits for the body.
    private var waiting: CheckedContinuation<ByteBuffer, any Error>?
    /// The reason why no further parts are valid.
    private var refusal: Problem?
    private var isAnswering = false
    private var isProceeding = false
    private var isReadWanted = false
    private var isInputClosed = false

    init(_ responder: Responder, _ watch: RequestWatch, _ channel: any Channel) {
        self.responder = responder
        self.watch = watch
        self.channel = channel
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        waiting?.resume(throwing: CancellationError())
        waiting = nil
    }

    // MARK: arrival

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        parts.append(unwrapInboundIn(data))
        // The head of most requests arrives together with their end. Their bodies need not be waited for.
        if case .done = progress, parts.count == 1 { return }
        proceed()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        proceed()
    }

    func read(context: ChannelHandlerContext) {
        isReadWanted = true
        readOn()
    }

    private func readOn() {
        guard isReadWanted, parts.isEmpty else { return }
        isReadWanted = false
        context?.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .inputClosed? = event as? ChannelEvent, watch.isHTTP1 else { return }
        isInputClosed = true
        proceed()
    }

    /// A ``Problem`` is answered after the requests that came before it. Any other error ends the connection.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let problem = error as? Problem else { return close() }
        refusal = problem
        proceed()
    }

    // MARK: requests

    /// Uses the parts that have arrived, as far as possible.
    private func proceed() {
        // A request that is answered at once comes back to here.
        guard !isProceeding else { return }
        isProceeding = true
        while takesStep() {}
        isProceeding = false
        if !isAnswering, parts.isEmpty { endIfLast() }
        readOn()
    }

    private func takesStep() -> Bool {
        switch progress {
        case .begun, .read: return false
        case .done:
            guard case .head(let head)? = parts.popFirst() else { return false }
            begin(head)
        case .collecting:
            guard let outcome = collected() else { return false }
            waiting?.resume(with: outcome)
            waiting = nil
        case .dropping:
            guard let part = parts.popFirst() else { return false }
            if case .end = part { progress = .done }
        }
        return true
    }

    private func begin(_ head: HTTPTypes.HTTPRequest) {
        progress = .begun
        isAnswering = true
        let (responder, channel) = (responder, channel)
        let reader = NIOLoopBound(self, eventLoop: channel.eventLoop)
        let watch = NIOLoopBound(watch, eventLoop: channel.eventLoop)
        responder.server.requests.enter()
        self.watch.start {
            let isUsable = await responder.respond(to: head, reader, watch, over: channel)
            reader.value.answered(isUsable: isUsable)
            responder.server.requests.leave()
        }
    }

    private func answered(isUsable: Bool) {
        isAnswering = false
        guard isUsable, !watch.hasEnded else { return close() }
        if case .read = progress { progress = .done } else { progress = .dropping }
        proceed()
    }

    // MARK: bodies

    /// Waits for the body of the current request.
    ///
    /// - Throws: a ``Problem`` if it is larger than `limit` or invalid, `CancellationError` if the connection ended.
    static func body(_ reader: NIOLoopBound<RequestReader>, upTo limit: Int) async throws -> ByteBuffer {
        reader.value.progress = .collecting(limit: limit)
        if let outcome = reader.value.collected() { return try outcome.get() }
        return try await withCheckedThrowingContinuation { continuation in
            reader.value.waiting = continuation
            reader.value.readOn()
        }
    }

    /// - Returns: nil if the end of the body has not arrived.
    private func collected() -> Result<ByteBuffer, any Error>? {
        guard case .collecting(let limit) = progress else { return nil }
        while let part = parts.popFirst() {
            guard case .body(let bytes) = part else {
                progress = .read
                defer { body = ByteBuffer() }
                return .success(body)
            }
            guard body.readableBytes + bytes.readableBytes <= limit else {
                watch.endAfterAnswer()
                return fail(Problem(status: 413))
            }
            if body.readableBytes == 0 { body = bytes } else { body.writeImmutableBuffer(bytes) }
        }
        if context == nil { return fail(CancellationError()) }
        return refusal.map { fail($0) }
    }

    private func fail(_ error: any Error) -> Result<ByteBuffer, any Error> {
        progress = .dropping
        body = ByteBuffer()
        return .failure(error)
    }

    // MARK: the end

    private func endIfLast() {
        if let refusal {
            // A request whose body is dropped has its answer.
            if watch.isHTTP1, case .done = progress { watch.write(refusal) }
            close()
        } else if isInputClosed {
            close()
        }
    }

    private func close() {
        context?.close(promise: nil)
    }
}
