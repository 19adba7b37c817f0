internal import NIOCore

/// What a handler answers. The server adds what every response has: length or framing, date, the security headers and
/// the configuration's common ones, each unless it is here already.
public struct HTTPResponse: Sendable {
    public enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Written piece by piece while the client reads; the response ends when the closure returns. When it throws,
        /// the connection is closed so that the client sees that the end is missing.
        ///
        /// The task is cancelled when the client goes away and when the server stops; in the second case it can still
        /// write a goodbye.
        case stream(@Sendable (HTTPBodyWriter) async throws -> Void)
    }

    public var status: Int
    /// Control characters in values are sent as spaces.
    public var headers: [(name: String, value: String)]
    public var body: Body

    public init(status: Int = 200, headers: [(name: String, value: String)] = [], body: Body = .none) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Bytes made ready once to be written to many clients: all of them share the same memory, even while they wait in the
/// buffers of slow ones.
public struct HTTPChunk: Sendable {
    /// Framed as one chunk of the chunked transfer coding (RFC 9112, section 7.1); none when there are no bytes, since
    /// an empty chunk is the end of the body.
    let framed: ByteBuffer
    /// How many of `framed` are the chunk's head; its tail has two.
    let headLength: Int

    public init(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else {
            framed = ByteBuffer()
            headLength = 0
            return
        }
        let head = String(bytes.count, radix: 16)
        var buffer = ByteBufferAllocator().buffer(capacity: bytes.count + head.utf8.count + 4)
        buffer.writeString(head)
        buffer.writeStaticString("\r\n")
        headLength = buffer.readableBytes
        buffer.writeBytes(bytes)
        buffer.writeStaticString("\r\n")
        framed = buffer
    }

    var isEmpty: Bool { headLength == 0 }

    /// The bytes that it was made of, copied.
    public var content: [UInt8] { Array(bare.readableBytesView) }

    /// The bytes alone, for a client that does not know the chunked coding.
    var bare: ByteBuffer {
        framed.getSlice(at: framed.readerIndex + headLength, length: framed.readableBytes - headLength - 2)
            ?? ByteBuffer()
    }
}

/// Writes the body of one response.
public struct HTTPBodyWriter: Sendable {
    /// Why nothing more can be written.
    public enum WriteError: Error, Sendable {
        /// The connection is closed.
        case clientGone
        /// The client took nothing for `writeTimeoutMs`; the connection is closed.
        case timedOut
    }

    private let sink: @Sendable (HTTPChunk) async throws(WriteError) -> Void

    /// A writer into something else than a connection.
    public init(_ sink: @escaping @Sendable (HTTPChunk) async throws(WriteError) -> Void) {
        self.sink = sink
    }

    /// Returns when the bytes are with the socket, or so few of them wait for it that the next may be made.
    ///
    /// - Throws: ``WriteError``.
    public func write(_ bytes: [UInt8]) async throws(WriteError) {
        try await sink(HTTPChunk(bytes))
    }

    /// The same, of bytes that others are sent as well.
    ///
    /// - Throws: ``WriteError``.
    public func write(_ chunk: HTTPChunk) async throws(WriteError) {
        try await sink(chunk)
    }
}
