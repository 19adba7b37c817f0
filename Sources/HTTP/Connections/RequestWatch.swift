internal import HTTPTypes
internal import NIOCore
internal import NIOHTTPTypes

/// Watches the requests of one HTTP/1 connection, or the request of one HTTP/2 stream. It ends requests that do not
/// arrive in time. It cancels handlers that take too long, whose client has disconnected, or that serve streams when
/// the server stops.
final class RequestWatch: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    /// A request that is being answered.
    private struct Work {
        let slot: RequestSlot
        /// Whether the handler writes a stream.
        let isStream: Bool
    }

    let isHTTP1: Bool
    private let server: HTTPServerContext
    private var executor: EventLoopExecutor?
    private var eventLoop: (any EventLoop)?
    private var context: ChannelHandlerContext?
    private var connection: ConnectionLimit?
    /// nil for HTTP/2.
    private var codec: HTTP1Codec?
    /// The server's own address, as text.
    private(set) var localAddress: String?
    /// The last host that a request named and that was accepted.
    var acceptedHost: String?

    private var isReceiving = false
    private var received = 0
    private var answered = 0
    /// The task of the current request.
    private var task: Task<Void, Never>?
    private var work: Work?
    private var isLate = false
    /// Whether the handler was cancelled.
    private var isCancelled = false
    /// Whether the handler continues long after it was cancelled.
    private var isWedged = false
    private var isGone = false
    private var isInputClosed = false
    /// The deadline of the request that is being received or answered.
    private var deadline = NIODeadline.distantFuture
    private var timer: (task: Scheduled<Void>, at: NIODeadline)?

    init(_ server: HTTPServerContext, _ codec: HTTP1Codec?) {
        self.server = server
        self.codec = codec
        isHTTP1 = codec != nil
    }

    var client: ClientIdentity { connection?.client ?? ClientIdentity(address: nil) }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        eventLoop = context.eventLoop
        executor = server.executor(of: context.eventLoop)
        let socket = isHTTP1 ? context.channel : context.channel.parent
        localAddress = socket?.localAddress?.ipAddress
        connection = try? socket?.pipeline.syncOperations.handler(type: ConnectionLimit.self)
        connection?.began(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        clientLeft()
        // If a handler runs, the timer checks whether it ends.
        if work == nil {
            timer?.task.cancel()
            timer = nil
        }
        connection?.ended(self)
        (connection, codec, self.context) = (nil, nil, nil)
    }

    // MARK: arrival

    /// Notes that bytes of an HTTP/1 request arrived.
    func bytesCame() {
        guard !isReceiving else { return }
        isReceiving = true
        // There is no time limit for requests that wait for an earlier one, and none for receiving further ones behind
        // them.
        if work == nil { arm(server.limits.receiveTimeoutMs) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            connection?.requestCame()
            bytesCame()
        case .body: break
        case .end:
            received += 1
            isReceiving = false
            if work == nil { deadline = .distantFuture }
        }
        context.fireChannelRead(data)
    }

    /// Whether the current request is completely received.
    var isComplete: Bool { received > answered }

    /// Accepts no more requests. ``RequestReader`` answers with the reason.
    func refuse(_ problem: Problem) {
        if let codec { codec.refuse(problem) } else { context?.fireErrorCaught(problem) }
    }

    /// Ends the connection after the answer to the current request.
    func endAfterAnswer() { codec?.endAfterAnswer() }

    var hasEnded: Bool { codec?.hasEnded == true }

    /// Whether the client no longer waits for the answer.
    var hasLeft: Bool { isGone || isInputClosed }

    func answerEnded() { answered += 1 }

    /// Writes a response to what was no valid request.
    func write(_ refusal: Problem) {
        guard let context else { return }
        server.metrics.answered(route: nil, status: refusal.status, duration: .zero)
        let (head, body) = server.fields.whole(refusal.response)
        write(head, body, to: context.channel)
    }

    /// Writes a whole response. With HTTP/1, head and body go to the codec directly, because each part that passes all
    /// handlers costs more than its bytes. The end passes all handlers, because they count the responses.
    ///
    /// - Parameter promise: fulfilled when the socket has accepted the response.
    func write(
        _ head: HTTPTypes.HTTPResponse, _ body: ByteBuffer, to channel: any Channel,
        promise: EventLoopPromise<Void>? = nil
    ) {
        let pipeline = channel.pipeline.syncOperations
        if let codec {
            codec.append(head, body)
        } else {
            pipeline.write(NIOAny(HTTPResponsePart.head(head)), promise: nil)
            if body.readableBytes > 0 { pipeline.write(NIOAny(HTTPResponsePart.body(body)), promise: nil) }
        }
        pipeline.writeAndFlush(NIOAny(HTTPResponsePart.end(nil)), promise: promise)
    }

    // MARK: work

    /// Starts the task of a request, which runs on the thread of the event loop.
    func start(_ body: sending @escaping () async -> Void) {
        let task = Task.immediate(executorPreference: executor) { await body() }
        self.task = task
        if isCancelled { task.cancel() }
    }

    /// Runs the handler of a request. If it is cancelled, the rest of the request's task is too.
    ///
    /// - Throws: a ``Problem`` if it took too long, `CancellationError` if the client has disconnected, or an error of
    ///   `body`.
    static func run<Value>(
        _ watch: NIOLoopBound<RequestWatch>, _ slot: RequestSlot, isStream: Bool, _ body: () async throws -> Value
    ) async throws -> Value {
        watch.value.began(Work(slot: slot, isStream: isStream))
        let outcome: Result<Value, any Error>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        try watch.value.ended()
        return try outcome.get()
    }

    private func began(_ work: Work) {
        self.work = work
        if work.isStream { deadline = .distantFuture } else { arm(server.limits.requestTimeoutMs) }
        if isGone || work.isStream && connection?.isDraining != false { cancelWork() }
        if isInputClosed { inputClosed() }
    }

    private func ended() throws {
        work = nil
        if isWedged { executor?.wedgedWorkEnded() }
        isWedged = false
        isCancelled = false
        if isReceiving, !isGone { arm(server.limits.receiveTimeoutMs) } else { deadline = .distantFuture }
        if isGone { throw CancellationError() }
        guard isLate else { return }
        isLate = false
        throw Problem.refused(503, "the answer took too long", retryAfter: server.configuration.retryAfterSeconds)
    }

    /// Notes that the server stops.
    func drain() {
        codec?.isDraining = true
        if let work, work.isStream { cancelWork() }
    }

    /// Cancels the handler. If it continues for another request timeout, the timer reports it.
    private func cancelWork() {
        guard work != nil, !isCancelled else { return }
        isCancelled = true
        task?.cancel()
        arm(server.limits.requestTimeoutMs)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A stop ends the HTTP/2 connection after its streams. The handler of a stream would cut what is not sent yet.
        if event is ChannelShouldQuiesceEvent, !isHTTP1 { return }
        if case .inputClosed? = event as? ChannelEvent, isHTTP1 {
            isInputClosed = true
            inputClosed()
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Notes that the client closed its side of the connection. It may still read an answer, but it does not wait for
    /// an event, and it would never see the end of a stream.
    private func inputClosed() {
        guard let work else { return }
        if work.slot.abandon() || work.isStream { clientLeft() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        clientLeft()
        context.fireChannelInactive()
    }

    private func clientLeft() {
        isGone = true
        cancelWork()
    }

    // MARK: time

    /// Sets the deadline. A timer that is already set for an earlier time stays, and sets itself again when it fires.
    /// So most requests set no timer.
    private func arm(_ milliseconds: Int) {
        deadline = .now() + .milliseconds(Int64(milliseconds))
        setTimer()
    }

    private func setTimer() {
        guard let eventLoop, timer.map({ $0.at > deadline }) ?? true else { return }
        timer?.task.cancel()
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = (eventLoop.scheduleTask(deadline: deadline) { bound.value.timerFired() }, deadline)
    }

    private func timerFired() {
        timer = nil
        guard deadline <= .now() else {
            if deadline < .distantFuture { setTimer() }
            return
        }
        deadline = .distantFuture
        if isCancelled {
            isWedged = true
            executor?.workWedged()
            return
        }
        server.metrics.timedOut()
        if work == nil {
            refuse(Problem(status: 408, detail: "the request did not arrive in time"))
        } else {
            isLate = true
            cancelWork()
        }
    }
}
