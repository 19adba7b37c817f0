import Foundation
import HTTP
import TestKit
import Testing

/// Tests TLS and HTTP/2 with curl as the client.
@Suite struct HTTPSTests {
    private static let routes = [
        HTTPRoute("/v1/orders/{id}") { text("order \($0.parameter("id"))") },
        HTTPRoute("/v1/orders", method: .post) { text("got \($0.body.count)", status: 201) },
        HTTPRoute("/wait") { request in
            try await request.working(as: .wait) { await Signal().wait() }
            return text("waited")
        },
    ]

    /// Serves with a certificate that is created for the test.
    private static func serve(
        _ routes: [HTTPRoute] = routes, http2: Bool,
        _ configure: (inout HTTPServerConfiguration) -> Void = { _ in },
        _ body: (ServedHTTP, Curl) async throws -> Void
    ) async throws {
        try await TestCertificate.with { certificate in
            let identity = try TLSIdentity(certificateFile: certificate.file, keyFile: certificate.key)
            try await ServedHTTP.run(routes) {
                $0.tls = identity
                $0.http2 = http2
                configure(&$0)
            } _: { server in
                try await body(server, Curl(certificate: certificate.file, port: server.port))
            }
        }
    }

    @Test(arguments: [false, true])
    func requestsAreAnsweredWithinTLS(http2: Bool) async throws {
        try await Self.serve(http2: http2) { _, curl in
            let order = try await curl.run("/v1/orders/7", "--http2")
            #expect(order.output == "order 7 200 \(http2 ? "2" : "1.1")")
            #expect(try await curl.run("/v1/orders/7", "--http1.1").output == "order 7 200 1.1")
            let post = try await curl.run("/v1/orders", "--http2", "--data", #"{"a":1}"#)
            #expect(post.output.hasPrefix("got 7 201"))
            let headers = try await curl.run("/v1/orders/7", "--http2", "--head").output.lowercased()
            #expect(headers.contains("content-length: 7") && headers.contains("x-content-type-options: nosniff"))
        }
    }

    @Test(arguments: [false, true])
    func whatIsRefusedIsToldWithinTLS(http2: Bool) async throws {
        try await Self.serve(http2: http2) {
            $0.maxBodyBytes = 100
            $0.maxTargetBytes = 300
        } _: { _, curl in
            let refusals = [
                (404, ["/none"]), (404, ["/v1//orders"]), (405, ["/v1/orders/7", "--request", "DELETE"]),
                (400, ["/v1/orders/%zz"]), (421, ["/v1/orders/7", "--header", "Host: evil.example"]),
                (414, ["/v1/orders/" + String(repeating: "a", count: 400)]),
                (413, ["/v1/orders", "--data", String(repeating: "x", count: 101)]),
            ]
            for (status, arguments) in refusals {
                let answer = try await curl.run(arguments[0], ["--http2"] + arguments.dropFirst())
                #expect(answer.output.contains(" \(status) \(http2 ? "2" : "1.1")"), "\(arguments): \(answer.output)")
                #expect(answer.output.contains(#""status":\#(status)"#), "\(answer.output)")
            }
        }
    }

    @Test(arguments: [false, true])
    func aStopLetsStreamsSayGoodbye(http2: Bool) async throws {
        let began = Signal()
        let stream = HTTPRoute("/stream", isStream: true) { _ in
            HTTPResponse(
                body: .stream { writer in
                    try await writer.write(Array("first\n".utf8))
                    began.happen()
                    await Signal().wait()
                    try await writer.write(Array("goodbye\n".utf8))
                })
        }
        try await Self.serve([stream], http2: http2) {
            $0.drainTimeoutMs = 60_000
        } _: { server, curl in
            async let answer = curl.run("/stream", "--http2", "--no-buffer")
            await began.wait()
            await server.stop()
            let goodbye = try await answer.output
            #expect(goodbye.hasPrefix("first\ngoodbye\n 200"), "\(goodbye)")
        }
    }

    @Test(arguments: [false, true])
    func aStreamEndsWithItsClientWithinTLS(http2: Bool) async throws {
        let (began, ended) = (Signal(), Signal())
        let stream = HTTPRoute("/stream", isStream: true) { _ in
            HTTPResponse(
                body: .stream { writer in
                    try await writer.write(Array("first\n".utf8))
                    began.happen()
                    await Signal().wait()
                    ended.happen()
                })
        }
        try await Self.serve([stream], http2: http2) { _, curl in
            // On a busy machine a request may take longer than that to begin.
            try await eventually {
                _ = try await curl.run("/stream", "--http2", "--max-time", "1")
                return began.hasHappened
            }
            await ended.wait()
        }
    }

    @Test(arguments: [false, true])
    func aHandlerThatTakesTooLongIsCancelledWithinTLS(http2: Bool) async throws {
        try await Self.serve(http2: http2) {
            $0.requestTimeoutMs = 100
        } _: { _, curl in
            let answer = try await curl.run("/wait", "--http2")
            #expect(answer.output.contains(#""status":503"#) && answer.output.contains(" 503 "), "\(answer.output)")
            // On a busy machine a request may exceed the timeout although its handler is fast.
            try await eventually { try await curl.run("/v1/orders/1", "--http2").output.hasPrefix("order 1 200") }
        }
    }

    @Test(arguments: [false, true])
    func aHandshakeThatDoesNotComeIsNotWaitedFor(http2: Bool) async throws {
        try await Self.serve(http2: http2) {
            $0.receiveTimeoutMs = 200
        } _: { server, _ in
            let (silent, slow) = (try server.client(), try server.client())
            try await slow.send("\u{16}\u{3}\u{1}")
            // If the server sends anything, it is a TLS alert.
            #expect(!(try await silent.receiveToEnd()).hasPrefix("HTTP"))
            #expect(!(try await slow.receiveToEnd()).hasPrefix("HTTP"))
        }
    }

    @Test func plainRequestsAreNotAnsweredWithinTLS() async throws {
        try await Self.serve(http2: true) { server, _ in
            let client = try server.client()
            try await client.send("GET /v1/orders/7 HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(!(try await client.receiveToEnd()).contains("order 7"))
        }
    }

    @Test func certificateAndKeyBelongTogether() async throws {
        try await TestCertificate.with { certificate in
            try await TestCertificate.with { other in
                #expect(throws: TLSIdentity.FileError.self) {
                    try TLSIdentity(certificateFile: certificate.file, keyFile: other.key)
                }
                let error = #expect(throws: TLSIdentity.FileError.self) {
                    try TLSIdentity(certificateFile: certificate.file, keyFile: certificate.key + ".missing")
                }
                #expect(error?.description.contains(certificate.key + ".missing: ") == true)
                #expect(throws: TLSIdentity.FileError.self) {
                    try TLSIdentity(certificateFile: certificate.key, keyFile: certificate.key)
                }
            }
        }
        var configuration = HTTPServerConfiguration()
        configuration.http2 = true
        #expect(throws: HTTPServerConfiguration.Invalid.self) { try configuration.validate() }
    }
}

/// Sends requests over TLS, and prints the body and status of the response and the HTTP version.
struct Curl {
    let certificate: String
    let port: Int

    func run(_ target: String, _ arguments: String...) async throws -> Command.Outcome {
        try await run(target, arguments)
    }

    func run(_ target: String, _ arguments: [String]) async throws -> Command.Outcome {
        try await Command.run(
            "curl",
            ["--silent", "--show-error", "--path-as-is", "--cacert", certificate]
                + ["--write-out", " %{http_code} %{http_version}"] + arguments + ["https://localhost:\(port)\(target)"])
    }
}

/// Runs a program of the operating system.
enum Command {
    struct Outcome {
        let status: Int32
        let output: String
    }

    static func run(_ program: String, _ arguments: String...) async throws -> Outcome {
        try await run(program, arguments)
    }

    static func run(_ program: String, _ arguments: [String]) async throws -> Outcome {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        // A thread of its own may block.
        let output = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let data = pipe.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                continuation.resume(returning: String(decoding: data, as: UTF8.self))
            }
        }
        return Outcome(status: process.terminationStatus, output: output)
    }
}
