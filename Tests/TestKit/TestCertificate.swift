import Foundation
import Testing

/// A self-signed certificate for `localhost`.
public struct TestCertificate: Sendable {
    public let file: String
    public let key: String

    public static func with(_ body: (TestCertificate) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "millrace-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let certificate = TestCertificate(
            file: folder.appending(path: "cert.pem").path, key: folder.appending(path: "key.pem").path)
        let openssl = Process()
        openssl.executableURL = URL(filePath: "/usr/bin/env")
        openssl.arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-out", certificate.file, "-keyout", certificate.key,
        ]
        openssl.standardInput = FileHandle.nullDevice
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        try await eventually { !openssl.isRunning }
        try #require(openssl.terminationStatus == 0, "openssl")
        try await body(certificate)
    }
}
