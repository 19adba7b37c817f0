internal import CommandSupport
internal import WireJSON

/// Formats the values of letters and of failed rows as text without control characters.
enum LetterFormat {
    static func letters(_ number: Int64) -> String { "\(TextFormat.count(number)) letter\(number == 1 ? "" : "s")" }

    // MARK: values

    /// Maximum number of bytes of a value that are shown.
    static let valueLimit = 64 << 10

    /// Formats a value: indented JSON, other text unchanged, and other bytes in hexadecimal.
    static func value(_ bytes: [UInt8]) -> String {
        if bytes.isEmpty { return "(empty)" }
        if let json = indented(bytes) { return json }
        let shown = Array(bytes.prefix(valueLimit))
        let isText = String(validating: bytes, as: UTF8.self) != nil
        let text =
            isText
            ? lines(shown).map { TextFormat.printable($0) }.joined(separator: "\n")
            : hexadecimal(Array(shown.prefix(4_096)))
        return text + rest(bytes.count - (isText ? shown.count : min(shown.count, 4_096)))
    }

    private static func rest(_ count: Int) -> String {
        count > 0 ? "\n… \(TextFormat.count(Int64(count))) more bytes: `millrace dead-letters export` prints all" : ""
    }

    private static func lines(_ bytes: [UInt8]) -> [[UInt8]] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { $0.isEmpty ? [UInt8(ascii: " ")] : Array($0) }
    }

    /// Lines with the offset, 16 bytes, and the characters among them.
    static func hexadecimal(_ bytes: [UInt8]) -> String {
        stride(from: 0, to: bytes.count, by: 16).map { start in
            let row = bytes[start..<min(start + 16, bytes.count)]
            let digits = row.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined(separator: " ")
            let characters = String(
                row.map { (0x20...0x7E).contains($0) ? Character(UnicodeScalar($0)) : "." })
            let offset = String(start, radix: 16)
            return String(repeating: "0", count: 6 - offset.count) + offset + "  " + digits
                + String(repeating: " ", count: 49 - digits.count) + characters
        }.joined(separator: "\n")
    }

    /// Formats JSON with one member in each line. Numbers keep their digits.
    ///
    /// - Returns: nil if the bytes are not a JSON object or array.
    static func indented(_ bytes: [UInt8]) -> String? {
        guard isContainer(bytes) else { return nil }
        var text: [UInt8] = []
        var depth = 0
        var isInString = false
        var isEscaped = false
        func line() { text += [UInt8(ascii: "\n")] + [UInt8](repeating: UInt8(ascii: " "), count: depth * 2) }
        for (index, byte) in bytes.enumerated() {
            if text.count > valueLimit {
                return printableLines(text) + rest(bytes.count - index)
            }
            if isInString {
                text.append(byte)
                isInString = isEscaped || byte != UInt8(ascii: "\"")
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                continue
            }
            switch byte {
            case UInt8(ascii: "\""):
                isInString = true
                text.append(byte)
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                text.append(byte)
                depth += 1
                line()
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                while text.last == UInt8(ascii: " ") || text.last == UInt8(ascii: "\n") { text.removeLast() }
                if text.last != UInt8(ascii: "{"), text.last != UInt8(ascii: "[") { line() }
                text.append(byte)
            case UInt8(ascii: ","):
                text.append(byte)
                line()
            case UInt8(ascii: ":"): text += [byte, UInt8(ascii: " ")]
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): break
            default: text.append(byte)
            }
        }
        return printableLines(text)
    }

    private static func printableLines(_ text: [UInt8]) -> String {
        text.split(separator: UInt8(ascii: "\n")).map { TextFormat.printable(Array($0)) }.joined(separator: "\n")
    }

    private static func isContainer(_ bytes: [UInt8]) -> Bool {
        do throws(JSONError) {
            var json = try JSONReader(bytes.span)
            let kind = try json.peek()
            guard kind == .object || kind == .array else { return false }
            _ = try json.skipValue()
            try json.finish()
            return true
        } catch {
            return false
        }
    }
}
