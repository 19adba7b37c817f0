internal import NIOCore

/// A handler's response. The server adds the headers of all responses, unless they are set: length or framing, date,
/// security headers and the configured common headers.
public struct HTTPResponse: Sendable {
    public enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Written piece by piece while the client reads. The response ends when the closure returns. If the closure
        /// throws, the connection is closed, so the client sees that the response is incomplete.
        ///
        /// The task is cancelled if the client disconnects or the server stops. If the server stops, it can still write
        /// final bytes.
        case stream(@Sendable (HTTPBodyWriter) async throws -> Void)
    }

    public var status: Int
    /// Control characters in values are replaced by spaces.
    public var headers: [(name: String, value: String)]
    public var body: Body

    public init(status: Int = 200, headers: [(name: String, value: String)] = [], body: Body = .none) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Bytes that are written to many clients. All of them share the same memory, even in the buffers of slow connections.
public struct HTTPChunk: Sendable {
    let bytes: ByteBuffer

    public init(_ bytes: [UInt8]) {
        self.bytes = ByteBuffer(bytes: bytes)
    }

    /// A copy of the bytes.
    public var content: [UInt8] { Array(bytes.readableBytesView) }
}

/// Writes the body of one response.
public struct HTTPBodyWriter: Sendable {
    /// The reason why nothing more can be written.
    public enum WriteError: Error, Sendable {
        /// The connection is closed, by the client or because the client received nothing for `writeTimeoutMs`.
        case clientGone
    }

    private let sink: @Sendable (HTTPChunk) async throws(WriteError) -> Void

    /// Creates a writer with another target than a connection.
    public init(_ sink: @escaping @Sendable (HTTPChunk) async throws(WriteError) -> Void) {
        self.sink = sink
    }

    /// Writes bytes, and returns when the socket has accepted them.
    public func write(_ bytes: [UInt8]) async throws(WriteError) {
        try await sink(HTTPChunk(bytes))
    }

    /// Writes bytes that are shared with other clients.
    public func write(_ chunk: HTTPChunk) async throws(WriteError) {
        try await sink(chunk)
    }
}
