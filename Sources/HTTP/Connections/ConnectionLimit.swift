internal import Glibc
internal import NIOCore

/// The first handler of a connection. It counts the connection, refuses it if its client has too many, notices the
/// first byte of a request, and closes it if the TLS handshake or a stop takes too long.
final class ConnectionLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    let server: HTTPServerContext
    let client: ClientIdentity
    private(set) var isDraining = false
    /// The share of the server that the connection holds.
    private var share: Share?
    private var handshake: Scheduled<Void>?
    /// HTTP/1: the watch of the connection.
    private var http1: RequestWatch?
    /// HTTP/2: the watches of the streams.
    private var streams: [ObjectIdentifier: RequestWatch] = [:]

    private init(_ server: HTTPServerContext, address: SocketAddress?) {
        self.server = server
        client = ClientIdentity(address: address?.ipAddress)
    }

    static func install(on channel: any Channel, _ server: HTTPServerContext) throws {
        // Each connection keeps a buffer of this size. Most requests fit into it.
        try channel.syncOptions?.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 2_048))
        try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
        // The kernel closes the connection of a client that receives no data, whether it has failed or is asleep.
        try channel.syncOptions?.setOption(
            .tcpOption(NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT)),
            value: min(server.limits.writeTimeoutMs, Int(CInt.max)))
        try channel.pipeline.syncOperations.addHandler(ConnectionLimit(server, address: channel.remoteAddress))
    }

    func handlerAdded(context: ChannelHandlerContext) {
        server.metrics.opened()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if let share { server.admission.end(share, of: client) }
        share = nil
        handshake?.cancel()
        server.metrics.closed()
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if server.configuration.tls != nil { awaitHandshake(context) }
        do throws(Problem) {
            try server.admission.begin(.connection, of: client)
            share = .connection
        } catch {
            refuse(error, context)
        }
    }

    /// Sends the reason and closes the connection. If too many connections are being refused, it closes the connection
    /// without an answer.
    private func refuse(_ problem: Problem, _ context: ChannelHandlerContext) {
        do throws(Problem) {
            try server.admission.begin(.refusal, of: client)
            share = .refusal
            if let http1 { http1.refuse(problem) } else { context.close(promise: nil) }
        } catch {
            context.close(promise: nil)
        }
    }

    /// Before the first request, nothing else closes a connection that sends no valid bytes.
    private func awaitHandshake(_ context: ChannelHandlerContext) {
        let (bound, metrics) = (NIOLoopBound(context, eventLoop: context.eventLoop), server.metrics)
        let limit = TimeAmount.milliseconds(Int64(server.limits.receiveTimeoutMs))
        handshake = context.eventLoop.scheduleTask(in: limit) {
            metrics.timedOut()
            bound.value.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        http1?.bytesCame()
        context.fireChannelRead(data)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { drain(context) }
        context.fireUserInboundEventTriggered(event)
    }

    private func drain(_ context: ChannelHandlerContext) {
        http1?.drain()
        for stream in streams.values { stream.drain() }
        guard !isDraining else { return }
        isDraining = true
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let end = context.eventLoop.scheduleTask(in: .milliseconds(Int64(server.drainLimitMs))) {
            bound.value.close(promise: nil)
        }
        context.channel.closeFuture.whenComplete { _ in end.cancel() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if (error as? IOError)?.errnoCode == ETIMEDOUT { server.metrics.timedOut() }
        context.fireErrorCaught(error)
    }

    // MARK: from the requests

    func began(_ watch: RequestWatch) {
        if watch.isHTTP1 { http1 = watch } else { streams[ObjectIdentifier(watch)] = watch }
    }

    func ended(_ watch: RequestWatch) {
        if watch.isHTTP1 { http1 = nil } else { streams[ObjectIdentifier(watch)] = nil }
    }

    func requestCame() {
        handshake?.cancel()
        handshake = nil
    }
}
