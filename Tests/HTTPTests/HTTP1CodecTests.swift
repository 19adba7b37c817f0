import Logging
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import NIOSSL
import Testing

@testable import HTTP

/// Tests which errors of a connection reach the requests, and thereby end it.
@Suite struct HTTP1CodecTests {
    private final class ErrorLog: ChannelInboundHandler {
        typealias InboundIn = HTTPRequestPart
        var errors: [any Error] = []

        func errorCaught(context: ChannelHandlerContext, error: any Error) { errors.append(error) }
    }

    /// A client that closes only its side of the TCP connection, without a message in TLS, still reads its answers.
    @Test func theEndOfInputWithoutTLSMessageEndsNothing() throws {
        let (channel, log) = (EmbeddedChannel(), ErrorLog())
        let server = HTTPServerContext(
            HTTPServerConfiguration(), routes: HTTPRoutes([]), on: channel.embeddedEventLoop,
            logger: Logger(label: "http") { _ in SwiftLogNoOpLogHandler() })
        try channel.pipeline.syncOperations.addHandlers([HTTP1Codec(server), log])
        channel.pipeline.fireErrorCaught(NIOSSLError.uncleanShutdown)
        #expect(log.errors.isEmpty)
        channel.pipeline.fireErrorCaught(NIOSSLError.readInInvalidTLSState)
        #expect(log.errors.count == 1)
        // The codec lets the client read for a while.
        channel.close(promise: nil)
        channel.embeddedEventLoop.advanceTime(by: .seconds(60))
        #expect(!channel.isActive)
    }
}
