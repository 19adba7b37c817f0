internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1

/// Watches the requests of one HTTP/1 connection, or the one of an HTTP/2 stream: ends what does not arrive in time,
/// and the work for what is not answered in time, for a client that has gone, and for streams when the server stops.
final class RequestWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    /// A request that is being answered.
    private struct Work {
        let slot: RequestSlot
        /// It writes a body piece by piece.
        let isStream: Bool
        let cancel: @Sendable () -> Void
    }

    private let server: HTTPServerContext
    private var executor: EventLoopExecutor?
    private var eventLoop: (any EventLoop)?
    private var context: ChannelHandlerContext?
    private var connection: ConnectionLimit?
    private var codec: HTTP1Codec?
    /// The server's own address, as text.
    private(set) var localAddress: String?
    /// The host that the last request has named, and was let in with.
    var acceptedHost: String?

    private var isReceiving = false
    private var received = 0
    private var answered = 0
    private var work: Work?
    private var isLate = false
    /// The work was told to end.
    private var isCancelled = false
    /// It goes on although it was cancelled long ago.
    private var isWedged = false
    private var isGone = false
    private var isInputClosed = false
    /// Of what is being received, or being answered.
    private var deadline = NIODeadline.distantFuture
    private var timer: (task: Scheduled<Void>, at: NIODeadline)?

    init(_ server: HTTPServerContext) {
        self.server = server
    }

    /// Of the connection or stream that a request came over.
    static func of(_ channel: any Channel) throws -> NIOLoopBound<RequestWatch> {
        NIOLoopBound(
            try channel.pipeline.syncOperations.handler(type: RequestWatch.self), eventLoop: channel.eventLoop)
    }

    var isHTTP1: Bool { codec != nil }
    var client: ClientIdentity { connection?.client ?? ClientIdentity(address: nil) }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        eventLoop = context.eventLoop
        executor = server.executor(of: context.eventLoop)
        let pipeline = context.pipeline.syncOperations
        if let theirs = try? pipeline.handler(type: HTTP1ToHTTPServerCodec.self) {
            let codec = HTTP1Codec(server)
            self.codec = codec
            // Both can only fail for a handler that is not there.
            try? pipeline.addHandler(codec, position: .before(theirs))
            pipeline.removeHandler(theirs, promise: nil)
        }
        let socket = isHTTP1 ? context.channel : context.channel.parent
        localAddress = socket?.localAddress?.ipAddress
        connection = try? socket?.pipeline.syncOperations.handler(type: ConnectionLimit.self)
        connection?.began(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        clientLeft()
        // Otherwise it sees whether the work ends.
        if work == nil {
            timer?.task.cancel()
            timer = nil
        }
        connection?.ended(self)
        (connection, codec, self.context) = (nil, nil, nil)
    }

    // MARK: arrival

    /// Some of a request has come, of HTTP/1.
    func bytesCame() {
        guard !isReceiving else { return }
        isReceiving = true
        // Requests that wait for their turn have no time limit, and nor have those that are read behind them.
        if work == nil { arm(server.configuration.receiveTimeoutMs) }
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

    /// Whether the request whose turn it is has come to its last byte. The library takes a connection's end for a
    /// body's.
    var isComplete: Bool { received > answered }

    /// Takes no more requests, and says why after the answers to those before.
    func refuse(_ problem: Problem) {
        if let codec { codec.refuse(problem) } else { context?.fireErrorCaught(HTTPParserError.unknown) }
    }

    /// What is told of a request that came to no end.
    var refusal: Problem { codec?.refusal ?? Problem(status: 408, detail: "the request did not arrive in time") }

    /// The answer to the request whose turn it is becomes the connection's last.
    func endAfterAnswer() { codec?.endAfterAnswer() }

    var hasEnded: Bool { codec?.hasEnded == true }

    /// Nobody waits for the answer.
    var hasLeft: Bool { isGone || isInputClosed }

    func answerEnded() { answered += 1 }

    // MARK: work

    /// Does a request's work in a task of its own, which can be cancelled while the connection's goes on.
    ///
    /// - Throws: a ``Problem`` when it took too long, `CancellationError` when the client has gone, and what
    ///   `body` throws.
    static func run<Value: Sendable>(
        _ watch: NIOLoopBound<RequestWatch>, _ slot: RequestSlot, isStream: Bool,
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let task = Task.immediate(executorPreference: watch.value.executor) { try await body() }
        watch.value.began(Work(slot: slot, isStream: isStream, cancel: { task.cancel() }))
        let outcome = await task.result
        try watch.value.ended()
        return try outcome.get()
    }

    private func began(_ work: Work) {
        self.work = work
        if work.isStream { deadline = .distantFuture } else { arm(server.configuration.requestTimeoutMs) }
        if isGone || work.isStream && connection?.isDraining != false { cancelWork() }
        if isInputClosed { inputClosed() }
    }

    private func ended() throws {
        work = nil
        if isWedged { executor?.wedgedWorkEnded() }
        isWedged = false
        isCancelled = false
        if isReceiving, !isGone { arm(server.configuration.receiveTimeoutMs) } else { deadline = .distantFuture }
        if isGone { throw CancellationError() }
        guard isLate else { return }
        isLate = false
        throw Problem.refused(503, "the answer took too long", retryAfter: server.configuration.retryAfterSeconds)
    }

    /// The server stops.
    func drain() {
        codec?.isDraining = true
        if let work, work.isStream { cancelWork() }
    }

    /// A handler that goes on although it was told to end is noted after as much time as a request may take.
    private func cancelWork() {
        guard let work, !isCancelled else { return }
        isCancelled = true
        work.cancel()
        arm(server.configuration.requestTimeoutMs)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent, isHTTP1 {
            isInputClosed = true
            inputClosed()
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// A client that only ends its side still wants its answer, but does not wait for it; of a stream it would never
    /// see the end.
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

    /// A deadline that is put off leaves the timer where it is, which then sees that it is too early: requests set no
    /// timer each.
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
