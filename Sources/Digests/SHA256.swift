internal import CLibCrypto

/// SHA-256 (FIPS 180-4) and its HMAC (RFC 2104), computed by OpenSSL's libcrypto, which libpq needs anyway.
public enum SHA256 {
    /// The size of a digest in bytes.
    public static let size = 32

    /// The digest of `bytes`: `size` bytes.
    public static func digest(of bytes: [UInt8]) -> [UInt8] {
        // SAFETY: libcrypto reads `bytes.count` bytes and writes `size` bytes, and keeps neither pointer.
        unsafe [UInt8](unsafeUninitializedCapacity: size) { digest, count in
            let written = unsafe bytes.withUnsafeBufferPointer { input in
                unsafe CLibCrypto.SHA256(input.baseAddress, input.count, digest.baseAddress)
            }
            precondition(unsafe written != nil, "libcrypto computes no SHA-256")
            count = size
        }
    }

    /// The digest of the text in UTF-8.
    public static func digest(of text: String) -> [UInt8] { digest(of: Array(text.utf8)) }

    /// The HMAC of `message` by `key`: `size` bytes. A receiver that has the key can check who sent the message.
    public static func authenticationCode(of message: [UInt8], key: [UInt8]) -> [UInt8] {
        // SAFETY: libcrypto reads the given numbers of bytes, writes `size` bytes, and keeps no pointer.
        unsafe [UInt8](unsafeUninitializedCapacity: size) { code, count in
            let written = unsafe message.withUnsafeBufferPointer { message in
                unsafe HMAC(
                    EVP_sha256(), key, Int32(key.count), message.baseAddress, message.count, code.baseAddress, nil)
            }
            precondition(unsafe written != nil, "libcrypto computes no HMAC")
            count = size
        }
    }
}
