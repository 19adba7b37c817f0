import CollectorKit
import HTTP
import HTTPClient
import TestKit
import Testing

/// Tests which servers the client trusts.
@Suite struct WebClientTLSTests {
    private static func client(trusting file: String?) -> WebClient {
        var configuration = WebClient.Configuration()
        configuration.certificatesFile = file
        return WebClient(configuration)
    }

    private static func request(_ host: String, _ port: Int) -> OutgoingRequest {
        OutgoingRequest(
            .post, "https://\(host):\(port)/v1/traces", body: Array("{}".utf8), timeoutMs: 600_000, maxBodyBytes: 100)
    }

    private static func expectRefusal(_ exchange: () async throws -> IncomingAnswer) async {
        let error = await #expect(throws: ExchangeError.self) { _ = try await exchange() }
        #expect("\(error, default: "")".contains("SSL"))
    }

    @Test func theCertificateIsChecked() async throws {
        try await TestCertificate.with { certificate in
            let identity = try TLSIdentity(certificateFile: certificate.file, keyFile: certificate.key)
            try await TestCollector.run(tls: identity) { server in
                let trusting = Self.client(trusting: certificate.file)
                let answer = try await trusting.send(Self.request("localhost", server.port))
                #expect(answer.status == 200)
                // The certificate is for another name.
                await Self.expectRefusal { try await trusting.send(Self.request("127.0.0.1", server.port)) }
                await trusting.close()
                let stranger = Self.client(trusting: nil)
                await Self.expectRefusal { try await stranger.send(Self.request("localhost", server.port)) }
                await stranger.close()
                #expect(server.requests.count == 1)
            }
        }
    }

    @Test func aCertificateOfAnotherAuthorityIsRefused() async throws {
        try await TestCertificate.with { certificate in
            try await TestCertificate.with { other in
                let identity = try TLSIdentity(certificateFile: certificate.file, keyFile: certificate.key)
                try await TestCollector.run(tls: identity) { server in
                    let client = Self.client(trusting: other.file)
                    await Self.expectRefusal { try await client.send(Self.request("localhost", server.port)) }
                    await client.close()
                    #expect(server.requests.isEmpty)
                }
            }
        }
    }

    @Test func onlyAFileWithCertificatesCanBeUsed() async throws {
        try await TestCertificate.with { certificate in
            #expect(WebClient.canRead(certificatesFile: certificate.file))
            #expect(!WebClient.canRead(certificatesFile: certificate.key))
            #expect(!WebClient.canRead(certificatesFile: certificate.file + ".missing"))
        }
    }
}
