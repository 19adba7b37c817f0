internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1

/// Writes responses in the format of HTTP/1.1 (RFC 9112). It collects small parts, so that one system call sends a
/// whole response.
struct HTTP1Encoder {
    /// Maximum size of a body that is copied behind its head, in bytes.
    private static let maxCopied = 16 * 1_024

    /// Size of a head with the body of one order, in bytes. The buffer grows for larger responses.
    private static let typicalSize = 2_048

    /// The parts that were not taken yet.
    private var collected = ByteBuffer()
    /// Whether the body of the current response is in chunks, because its length is not known in advance.
    private var isChunked = false

    /// Removes what was collected.
    ///
    /// - Returns: nil if nothing was collected.
    mutating func take() -> ByteBuffer? {
        guard collected.readableBytes > 0 else { return nil }
        defer { collected = ByteBuffer() }
        return collected
    }

    /// Appends a head. It also decides about the framing of the body.
    ///
    /// - Parameters:
    ///   - isOld: whether the request uses HTTP/1.0, which has no chunks: the end of the connection ends the body.
    ///   - isLast: whether the connection ends after this response.
    mutating func append(_ head: HTTPTypes.HTTPResponse, isOld: Bool, isLast: Bool) {
        let status = HTTPResponseStatus(statusCode: head.status.code)
        isChunked = status.mayHaveResponseBody && !isOld && !head.headerFields.contains(.contentLength)
        collected.reserveCapacity(minimumWritableBytes: Self.typicalSize)
        collected.writeStaticString(isOld ? "HTTP/1.0 " : "HTTP/1.1 ")
        collected.writeString(String(head.status.code))
        collected.writeStaticString(" ")
        collected.writeString(status.reasonPhrase)
        collected.writeStaticString("\r\n")
        for field in head.headerFields { append(field.name.rawName, field.value) }
        if isChunked { append("Transfer-Encoding", "chunked") }
        if isLast { append("Connection", "close") }
        collected.writeStaticString("\r\n")
    }

    private mutating func append(_ name: String, _ value: String) {
        collected.writeString(name)
        collected.writeStaticString(": ")
        collected.writeString(value)
        collected.writeStaticString("\r\n")
    }

    /// Appends a part of the body.
    ///
    /// - Parameter write: writes bytes that are too many to copy, or that other connections may share.
    mutating func append(_ body: ByteBuffer, _ write: (ByteBuffer) -> Void) {
        guard body.readableBytes > 0 else { return }
        if !isChunked, body.readableBytes <= Self.maxCopied {
            collected.writeImmutableBuffer(body)
            return
        }
        if isChunked { collected.writeString(String(body.readableBytes, radix: 16) + "\r\n") }
        if let before = take() { write(before) }
        write(body)
        if isChunked { collected.writeStaticString("\r\n") }
    }

    /// Appends the end of the body.
    mutating func appendEnd() {
        if isChunked { collected.writeStaticString("0\r\n\r\n") }
    }
}
