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
    let bytes: ByteBuffer

    public init(_ bytes: [UInt8]) {
        self.bytes = ByteBuffer(bytes: bytes)
    }

    /// The bytes that it was made of, copied.
    public var content: [UInt8] { Array(bytes.readableBytesView) }
}

/// Writes the body of one response.
public struct HTTPBodyWriter: Sendable {
    /// Why nothing more can be written.
    public enum WriteError: Error, Sendable {
        /// The connection is closed: by the client, or because it took nothing for `writeTimeoutMs`.
        case clientGone
    }

    private let sink: @Sendable (HTTPChunk) async throws(WriteError) -> Void

    /// A writer into something else than a connection.
    public init(_ sink: @escaping @Sendable (HTTPChunk) async throws(WriteError) -> Void) {
        self.sink = sink
    }

    /// Returns when the bytes are with the socket.
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
