import HTTPTypes
import NIOCore
import Testing

@testable import HTTP

/// The bytes of responses, by RFC 9112.
@Suite struct HTTP1EncoderTests {
    /// What is sent for a response whose body comes in these parts, in the buffers in which it is sent.
    private func sent(
        _ head: HTTPTypes.HTTPResponse, _ parts: [String] = [], isOld: Bool = false, isLast: Bool = false
    ) -> [String] {
        var encoder = HTTP1Encoder()
        var buffers: [ByteBuffer] = []
        encoder.append(head, isOld: isOld, isLast: isLast)
        for part in parts { encoder.append(ByteBuffer(string: part)) { buffers.append($0) } }
        encoder.appendEnd()
        if let rest = encoder.take() { buffers.append(rest) }
        #expect(encoder.take() == nil)
        return buffers.map { String(buffer: $0) }
    }

    private func head(_ status: HTTPTypes.HTTPResponse.Status, length: Int? = nil) -> HTTPTypes.HTTPResponse {
        var head = HTTPTypes.HTTPResponse(status: status, headerFields: [.contentType: "text/plain"])
        if let length { head.headerFields[.contentLength] = "\(length)" }
        return head
    }

    @Test func aWholeResponseIsOneBuffer() {
        #expect(
            sent(head(.ok, length: 2), ["ab"])
                == ["HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nab"])
    }

    @Test func aLargeBodyIsNotCopied() {
        let body = String(repeating: "x", count: 16 * 1_024 + 1)
        let buffers = sent(head(.ok, length: body.utf8.count), [body])
        #expect(buffers.count == 2 && buffers[0].hasSuffix("Content-Length: 16385\r\n\r\n") && buffers[1] == body)
    }

    @Test func aBodyOfUnknownLengthIsInChunks() {
        #expect(
            sent(head(.ok), ["0123456789abcdef", "", "z"]).joined()
                == "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "10\r\n0123456789abcdef\r\n1\r\nz\r\n0\r\n\r\n")
    }

    /// HTTP/1.0 has no chunks. The end of the connection ends the body.
    @Test func anOldClientGetsNoChunks() {
        #expect(
            sent(head(.ok), ["ab"], isOld: true, isLast: true)
                == ["HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nab"])
    }

    @Test(arguments: [(HTTPTypes.HTTPResponse.Status.noContent, "204 No Content"), (.notModified, "304 Not Modified")])
    func someStatusesHaveNoBody(status: HTTPTypes.HTTPResponse.Status, line: String) {
        #expect(sent(head(status)) == ["HTTP/1.1 \(line)\r\nContent-Type: text/plain\r\n\r\n"])
    }

    /// A value from a client must not begin another field or another response.
    @Test func aValueCannotEndItsLine() {
        var head = head(.ok, length: 0)
        head.headerFields[.location] = "/a\r\nSet-Cookie: b\r\n\r\nc"
        let text = sent(head).joined()
        #expect(text.split(separator: "\r\n").count == 4 && text.hasSuffix("\r\n\r\n"), "\(text)")
    }
}
