import Testing

@testable import Digests

/// The test vectors of the standards.
@Suite struct SHA256Tests {
    /// From NIST's "Descriptions of SHA-256": an empty message, one block, and two blocks.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func digestIsThatOfTheStandard(text: String, digest: String) {
        #expect(hexadecimal(SHA256.digest(of: text)) == digest)
    }

    /// From RFC 4231: keys that are shorter or longer than a block.
    @Test(arguments: [
        (
            Array("Jefe".utf8), "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            Array(repeating: UInt8(0xaa), count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func authenticationCodeIsThatOfTheStandard(key: [UInt8], message: String, code: String) {
        #expect(hexadecimal(SHA256.authenticationCode(of: Array(message.utf8), key: key)) == code)
    }

    /// For a null pointer, OpenSSL would use its own buffer.
    @Test func emptyMessageAndKeyHaveACode() {
        #expect(
            hexadecimal(SHA256.authenticationCode(of: [], key: []))
                == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
