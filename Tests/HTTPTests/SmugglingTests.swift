import HTTP
import TestKit
import Testing

/// Tests requests that a proxy in front of the server might parse differently. One of the two would take a part of a
/// request for another request. The server refuses such a request and closes the connection, so that nothing after it
/// is parsed as a request.
@Suite struct SmugglingTests {
    private static let routes = [
        HTTPRoute("/ok") { _ in text("ok") },
        HTTPRoute("/smuggled") { _ in text("smuggled") },
        HTTPRoute("/echo", method: .post) { text(String(decoding: $0.body, as: UTF8.self)) },
    ]

    /// The server would answer this text if it parsed it as a request.
    private static let next = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

    @Test(arguments: [
        // Two lengths (RFC 9112, section 6.3).
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 4\r\n\r\nabcd",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4 0\r\n\r\nabcd",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0x4\r\n\r\nabcd",
        // Codings that the server does not support, or chunked not as the last one.
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        // Chunks with invalid sizes.
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
        // Lines that end with only a line feed, or with only a carriage return.
        "GET /ok HTTP/1.1\nHost: x\n\n", "GET /ok HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
        "GET /ok HTTP/1.1\r\nHost: x\r\n\n", "GET /ok HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
        // Folded lines, names with spaces, and bytes that are not allowed.
        "GET /ok HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", "GET /ok HTTP/1.1\r\nHost: x\r\n X: a\r\n\r\n",
        "GET /ok HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nabcd",
        "GET /ok HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n",
        "GET /ok HTTP/1.1\r\nHost: x\r\nX: a\u{0}b\r\n\r\n", "GET /ok HTTP/1.1\r\nHost: x\r\nX\u{0}: a\r\n\r\n",
        "GET /ok HTTP/1.1\r\nHost: x\r\nX: a\u{1}b\r\n\r\n", "GET /ok HTTP/1.1\r\nHost: x\r\nX\r\n\r\n",
        "GET\t/ok HTTP/1.1\r\nHost: x\r\n\r\n", "GET /ok HTTP/1.1 \r\nHost: x\r\n\r\n",
    ])
    func whatCanBeReadTwoWaysIsRefused(request: String) async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            try await client.send(request + Self.next)
            let answer = try await client.receiveToEnd()
            // 505 if the error is after the version.
            let status = answer.hasPrefix("HTTP/1.1 505 ") ? 505 : 400
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
            #expect(answer.lowercased().contains("\r\nconnection: close\r\n"), "\(answer)")
            #expect(answer.contains(#""status":\#(status)"#) && !answer.contains("smuggled"), "\(answer)")
        }
    }

    /// Unusual requests with only one meaning.
    @Test(arguments: [
        (
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nabcd\r\n0\r\nX: y\r\n\r\n",
            "abcd"
        ),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n04\r\nabcd\r\n0\r\n\r\n", "abcd"),
        ("POST /echo HTTP/1.1\r\nHost:x\r\ncontent-length:\t4 \r\n\r\nabcd", "abcd"),
        ("\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", ""),
        ("GET /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd", "ok"),
        ("GET  /ok  HTTP/1.1\r\nHost: x\r\n\r\n", "ok"),
    ])
    func whatMeansOneThingIsAnswered(request: String, body: String) async throws {
        try await ServedHTTP.run(Self.routes) { server in
            let client = try server.client()
            try await client.send(request + Self.next)
            #expect(try await client.response().body == body)
            #expect(try await client.response().body == "smuggled", "the text after the body is the next request")
        }
    }
}
