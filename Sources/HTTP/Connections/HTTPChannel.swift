internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTP2
internal import NIOHTTPTypesHTTP2
internal import NIOTLS

/// Sets up the handlers of an accepted connection, behind ``ConnectionLimit`` and TLS:
///
/// ```
/// HTTP/1: parser → HTTP1Codec → RequestWatch → connection state → RequestReader
/// HTTP/2: frames → each stream: codec → RequestWatch → connection state → RequestReader
/// ```
///
/// It replaces Hummingbird's own channels. They read all requests of a connection in one task, so a handler that can be
/// cancelled needs a second one. With one task for each request, the query service answers a sixth more requests.
struct HTTPChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
    }

    let server: HTTPServerContext
    /// Whether the client may choose HTTP/2 in the TLS handshake.
    let negotiates: Bool

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            if negotiates {
                try channel.pipeline.syncOperations.addHandler(negotiation(on: channel, logger))
            } else {
                try addHTTP1(to: channel, logger)
            }
            return Value(channel: channel)
        }
    }

    /// Returns when the connection is closed. Its requests run in their own tasks.
    func handle(value: Value, logger: Logger) async {
        try? await value.channel.closeFuture.get()
    }

    // MARK: protocols

    /// Adds the handlers when the protocol is known (RFC 7301).
    private func negotiation(on channel: any Channel, _ logger: Logger) -> ApplicationProtocolNegotiationHandler {
        ApplicationProtocolNegotiationHandler { result, channel in
            channel.eventLoop.makeCompletedFuture {
                switch result {
                case .negotiated("h2"): try addHTTP2(to: channel, logger)
                case .negotiated, .fallback: try addHTTP1(to: channel, logger)
                }
                repeatStop(on: channel)
            }
        }
    }

    /// Tells handlers that were added during a stop about it.
    private func repeatStop(on channel: any Channel) {
        let pipeline = channel.pipeline.syncOperations
        guard (try? pipeline.handler(type: ConnectionLimit.self))?.isDraining == true else { return }
        pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }

    private func addHTTP1(to channel: any Channel, _ logger: Logger) throws {
        let configuration = server.configuration
        var limits = NIOHTTPDecoderLimitConfiguration()
        // The parser counts the target as a field and as a part of the total.
        limits.maxHeaderFieldSize = max(configuration.maxHeaderBytes, configuration.maxTargetBytes)
        limits.maxHeaderListSize = configuration.maxHeaderBytes + configuration.maxTargetBytes
        limits.maxHeaderFieldCount = HTTP1Codec.maxHeaderFields
        let codec = HTTP1Codec(server)
        let pipeline = channel.pipeline.syncOperations
        // The parser takes all bytes at once, unless it waits for another protocol.
        try pipeline.addHandler(
            ByteToMessageHandler(
                HTTPRequestDecoder(limitConfiguration: limits), maximumBufferSize: limits.maxHeaderListSize))
        try pipeline.addHandler(codec)
        try addRequests(to: channel, codec, logger)
    }

    private func addHTTP2(to channel: any Channel, _ logger: Logger) throws {
        // A stream needs both directions: a client that sends no frames receives no further bytes either.
        try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
        let manager = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop,
            configuration: .init(
                maxIdleTime: .milliseconds(Int64(server.configuration.idleTimeoutMs)), maxAge: nil,
                maxGraceTime: .milliseconds(Int64(server.configuration.writeTimeoutMs)), keepalive: nil))
        let pipeline = channel.pipeline.syncOperations
        _ = try pipeline.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: .init(), streamConfiguration: .init(),
            streamDelegate: manager.http2StreamDelegate
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(HTTP2FramePayloadToHTTPServerCodec())
                try addRequests(to: stream, nil, logger)
            }
        }
        try pipeline.addHandler(manager)
    }

    private func addRequests(to channel: any Channel, _ codec: HTTP1Codec?, _ logger: Logger) throws {
        let watch = RequestWatch(server, codec)
        let idle = Duration.milliseconds(server.configuration.idleTimeoutMs)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(watch)
        try pipeline.addHandler(HTTPConnectionStateHandler(idleTimeout: idle, logger: logger))
        try pipeline.addHandler(RequestReader(Responder(server), watch, channel))
    }
}

/// Adds the limits of a connection to a channel.
struct LimitedChannel<Base: ServerChildChannel>: ServerChildChannel {
    let base: Base
    let server: HTTPServerContext

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
        do {
            try ConnectionLimit.install(on: channel, server)
        } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
        return base.setup(channel: channel, logger: logger)
    }

    func handle(value: Base.Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}
