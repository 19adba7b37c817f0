internal import NIOCore

/// Stands between a connection's socket and the parser: holds the socket's bytes back while the connection has enough
/// to do, and keeps them from a parser that has given up.
final class ConnectionGate: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = Never

    /// Set before the gate is in a pipeline, and let go of when the connection has ended.
    var connection: HTTPConnection?
    /// Whether the line of the request that is being received has come to its end: what is too long behind it is a
    /// header.
    private(set) var hasRequestLine = false
    private var isReadHeld = false
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        connection = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let connection else { return }
        let bytes = unwrapInboundIn(data)
        guard connection.takes(bytes.readableBytes) else { return }
        if !hasRequestLine { hasRequestLine = bytes.readableBytesView.contains(UInt8(ascii: "\n")) }
        context.fireChannelRead(data)
    }

    /// A whole request has been received.
    func requestEnded() {
        hasRequestLine = false
    }

    func read(context: ChannelHandlerContext) {
        if connection?.wantsInput ?? true {
            context.read()
        } else {
            isReadHeld = true
        }
    }

    /// The connection has room again.
    func resume() {
        guard isReadHeld else { return }
        isReadHeld = false
        context?.read()
    }
}
