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
    static let lingeringTime = TimeAmount.seconds(2)

    enum Phase {
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

    enum Received {
        case request(HTTPRequestHead, HeadFacts)
        /// The last of all: what came there was no request, or one too much.
        case refusal(Problem)
    }

    /// A request and its response.
    struct Exchange {
        let number: UInt64
        let isHead: Bool
        let knowsChunks: Bool
        let began: NIODeadline
        var isLast: Bool
        var route: Int?
        var task: TaskHandle?
        var slot: RequestSlot?
        /// Of those who write the body, until the socket has taken enough of it.
        var waiting: [CheckedContinuation<HTTPBodyWriter.WriteError?, Never>] = []
    }

    /// When ``timedOut(_:)`` is to be called.
    var deadline: NIODeadline
    /// Its place among its loop's connections.
    var index: Int?

    let loop: HTTPLoop
    private let gate: ConnectionGate
    private let address: ClientIdentity
    /// The server's own address, as text.
    private let localAddress: String?
    /// What of the server the connection holds.
    private var share: Share?
    /// The host that the last request has named, and was let in with.
    private var acceptedHost: String?
    var context: ChannelHandlerContext?
    var phase = Phase.idle
    var exchange: Exchange?
    private var exchanges: UInt64 = 0
    /// A few at most, and none mostly: an array without elements takes no memory.
    var queue: [Received] = []
    var incoming: (head: HTTPRequestHead, facts: HeadFacts)?
    private var incomingBytes = 0
    private var isAdvancing = false
    /// No byte of the client's is looked at any more.
    var isDeaf = false
    var isInputClosed = false
    var isDraining = false
    private var lingeringBytes = 0
    /// What waited for the socket when the deadline was set.
    private var unsent = 0

    var configuration: HTTPServerConfiguration { loop.context.configuration }

    init(_ loop: HTTPLoop, gate: ConnectionGate, address: SocketAddress?, localAddress: SocketAddress?) {
        self.loop = loop
        self.gate = gate
        self.address = ClientIdentity(address: address?.ipAddress)
        self.localAddress = localAddress?.ipAddress
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
        if isDraining { close() } else { admitConnection() }
    }

    /// One that is beyond its client's limit is told so, if not too many are told already.
    private func admitConnection() {
        let admission = loop.context.admission
        do throws(Problem) {
            try admission.begin(.connection, of: address)
            share = .connection
        } catch {
            do throws(Problem) {
                try admission.begin(.refusal, of: address)
                share = .refusal
                refuse(error)
            } catch {
                close()
            }
        }
    }

    /// Gives back what the connection holds.
    func release() {
        if let share { loop.context.admission.end(share, of: address) }
        share = nil
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
            case .answering where exchange?.slot?.abandon() == true: close()
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

    func advance() {
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
            try checkHost(check.authority ?? facts.host)
            let slot = try RequestSlot(
                check.isStream ? .stream : .request, of: check.client, in: loop.context.admission)
            exchange?.slot = slot
            if isInputClosed { _ = slot.abandon() }
            var request = check.request
            request.slot = slot
            loop.submit(
                HTTPLoop.Job(
                    connection: NIOLoopBound(self, eventLoop: loop.eventLoop), number: exchanges, request: request,
                    route: check.route, isStream: check.isStream, slot: slot))
        } catch {
            _ = respond(to: exchanges, error.response)
        }
    }

    /// Whether the request is meant for this server; see ``HostPolicy``. Connections name one host mostly.
    private func checkHost(_ host: String?) throws(Problem) {
        guard let policy = loop.context.hosts, let host, host != acceptedHost else { return }
        switch policy.verdict(on: host, local: localAddress) {
        case .accepted: acceptedHost = host
        case .malformed: throw Problem(status: 400, detail: "the Host header holds no host")
        case .misdirected:
            throw Problem(
                status: 421,
                detail: "the Host header names another service; whoever runs this one can allow the name")
        }
    }

    private func beginRefusal(_ problem: Problem) {
        enter(.answering, for: configuration.requestTimeoutMs)
        exchange = Exchange(number: exchanges, isHead: false, knowsChunks: true, began: .now(), isLast: true)
        _ = respond(to: exchanges, problem.response)
    }

    // MARK: time

    func enter(_ phase: Phase, for milliseconds: Int) {
        self.phase = phase
        deadline = .now() + .milliseconds(Int64(milliseconds))
    }

    /// Gives the client its time to take something of what waits for it.
    func awaitSocket() {
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
