import Testing

@testable import DeadLetters

@Suite struct FingerprintTests {
    private func fingerprint(_ message: String, _ errorClass: String = "some_error") -> String {
        Fingerprint(errorClass: errorClass, message: message).description
    }

    @Test(arguments: [
        ("order 17 is not known", "order 42093 is not known"),
        ("no customer 6f1f2f9e-08a5-4f4f-9a55-5ac4d8c0b9d1", "no customer 00000000-0000-4000-8000-000000000000"),
        ("at 2026-11-21T10:00:00.123456Z: too late", "at 2025-01-01T00:00:00Z: too late"),
        ("connect to 10.0.0.17:5432 refused", "connect to 192.168.2.1:15432 refused"),
        ("unexpected \"foo\" at 1:17", "unexpected \"a \\\" b\" at 220:3"),
        ("key 'o-17' is there", "key 'x' is there"),
        ("duplicate key value: Key (order_id)=(o-1) exists", "duplicate key value: Key (order_id)=(ab-99-c) exists"),
        ("hash deadbeefcafe differs", "hash ab34cf differs"),
        ("object Foo@1a2b3c is closed", "object Foo@99ff00 is closed"),
        ("ids 1, 2, 3 are unknown", "ids 17, 4 are unknown"),
        ("mail to alice@example.com failed", "mail to bob.smith@mail.example.org failed"),
        ("two  lines\n\tof it", "two lines of it"),
        ("Amount -12.50 EUR", "amount -3.99 eur"),
    ])
    func sameCauseHasOneFingerprint(_ one: String, _ other: String) {
        #expect(fingerprint(one) == fingerprint(other))
    }

    @Test(arguments: [
        ("order 17 is not known", "customer 17 is not known"),
        ("can't read the amount", "can't read the currency"),
        ("field items[3].unitPrice is missing", "field items[3].quantity is missing"),
        ("", "something"),
    ])
    func otherCauseHasAnother(_ one: String, _ other: String) {
        #expect(fingerprint(one) != fingerprint(other))
    }

    @Test func theClassCounts() {
        #expect(fingerprint("it failed", "one") != fingerprint("it failed", "two"))
    }

    @Test func theFormIsFixed() {
        // Databases store groups by these fingerprints, so they must not change.
        #expect(
            String(decoding: Fingerprint.plain("Order 17: can't read \"x y\""), as: UTF8.self)
                == "order #: can't read <>")
        let digits = fingerprint("order 17 is not known", "unknown_order")
        #expect(digits.count == 16 && digits.allSatisfy { $0.isHexDigit && !$0.isUppercase })
        #expect(Fingerprint(errorClass: "", message: "").description == "af63bd4c8601b7df")
    }

    @Test func whatIsFarBehindDoesNotCount() {
        let long = String(repeating: "word ", count: 100)
        #expect(fingerprint(long + "one") == fingerprint(long + "two"))
    }

    @Test func anyTextHasOne() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let bytes = (0..<Int.random(in: 0...400, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            #expect(fingerprint(String(decoding: bytes, as: UTF8.self)).count == 16)
        }
    }
}
