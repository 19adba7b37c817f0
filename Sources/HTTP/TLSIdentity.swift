internal import NIOSSL

/// The server's certificate and its key.
public struct TLSIdentity: Sendable {
    /// A file cannot be read or is invalid, or the key does not belong to the certificate.
    public struct FileError: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    let configuration: TLSConfiguration

    /// Reads the files once.
    ///
    /// - Parameters:
    ///   - certificateFile: the certificate in PEM, followed by the intermediate certificates.
    ///   - keyFile: its private key in PEM, not encrypted.
    /// - Throws: ``FileError``.
    public init(certificateFile: String, keyFile: String) throws(FileError) {
        let chain = try Self.reading(certificateFile) { try NIOSSLCertificate.fromPEMFile(certificateFile) }
        guard !chain.isEmpty else { throw FileError(description: "\(certificateFile): contains no certificate") }
        let key = try Self.reading(keyFile) { try NIOSSLPrivateKey(file: keyFile, format: .pem) }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        // This checks whether the key belongs to the certificate.
        _ = try Self.reading("\(certificateFile), \(keyFile)") { try NIOSSLContext(configuration: configuration) }
        self.configuration = configuration
    }

    private static func reading<Value>(_ file: String, _ body: () throws -> Value) throws(FileError) -> Value {
        do { return try body() } catch { throw FileError(description: "\(file): \(error)") }
    }
}
