internal import Foundation
internal import Kafka
internal import StreamCore

/// One record on one line, whatever its bytes are. nil and empty look different.
struct RecordLine {
    let partition: Int32
    let offset: Int64
    let timestampMs: Int64?
    let key: [UInt8]?
    let headers: [(name: String, value: [UInt8]?)]
    let value: [UInt8]?

    init(_ record: RecordView) {
        partition = record.topicPartition.partition
        offset = record.offset
        timestampMs = record.timestampMs
        key = Self.copy(record.key)
        headers = record.headers.map { ($0.name, $0.value) }
        value = Self.copy(record.value)
    }

    init(
        partition: Int32, offset: Int64, timestampMs: Int64?, key: [UInt8]?,
        headers: [(name: String, value: [UInt8]?)], value: [UInt8]?
    ) {
        self.partition = partition
        self.offset = offset
        self.timestampMs = timestampMs
        self.key = key
        self.headers = headers
        self.value = value
    }

    private static func copy(_ span: Span<UInt8>?) -> [UInt8]? {
        guard let span else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(span.count)
        for index in span.indices { bytes.append(span[index]) }
        return bytes
    }

    // MARK: text

    var text: String {
        let time = timestampMs.map(Timestamp.description(ofMilliseconds:)) ?? "-"
        let names = headers.map { "\(Self.printable(Array($0.name.utf8)))=\(Self.printable($0.value))" }
        return """
            \(partition)/\(offset) \(time) key=\(Self.printable(key)) [\(names.joined(separator: " "))] \
            \(Self.printable(value))
            """
    }

    /// UTF-8 text as it is, except control characters and what is no UTF-8: these as `\xNN`.
    static func printable(_ bytes: [UInt8]?) -> String {
        guard let bytes else { return "(null)" }
        if bytes.isEmpty { return "(empty)" }
        var text = ""
        var position = bytes.startIndex
        while position < bytes.endIndex {
            let length = lengthOfPrintable(bytes, at: position)
            if length == 0 {
                let digits = String(bytes[position], radix: 16, uppercase: true)
                text += "\\x" + (digits.count == 1 ? "0" : "") + digits
                position += 1
            } else {
                text += String(decoding: bytes[position..<position + length], as: UTF8.self)
                position += length
            }
        }
        return text
    }

    /// How many bytes the printable character at `position` takes; 0 when there is none.
    private static func lengthOfPrintable(_ bytes: [UInt8], at position: Int) -> Int {
        let lead = bytes[position]
        let length =
            switch lead {
            case 0x20...0x7E: 1
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 0
            }
        guard length > 1 else { return length }
        guard position + length <= bytes.count,
            let character = String(validating: bytes[position..<position + length], as: UTF8.self)?.unicodeScalars.first
        else { return 0 }
        // Controls (C1), and marks that turn the direction of a terminal's text around.
        switch character.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse: return 0
        default: return length
        }
    }

    // MARK: JSON

    private struct Object: Encodable {
        struct Header: Encodable {
            let name: String
            let value: String?
            let valueBase64: String?
        }

        let partition: Int32
        let offset: Int64
        let timestamp: String?
        let key: String?
        let keyBase64: String?
        let headers: [Header]
        let value: String?
        let valueBase64: String?
    }

    /// One object; bytes that are no UTF-8 stand in base64 under `keyBase64` and `valueBase64`.
    var json: String {
        let object = Object(
            partition: partition, offset: offset,
            timestamp: timestampMs.map(Timestamp.description(ofMilliseconds:)),
            key: Self.textOnly(key), keyBase64: Self.base64Otherwise(key),
            headers: headers.map {
                Object.Header(
                    name: $0.name, value: Self.textOnly($0.value), valueBase64: Self.base64Otherwise($0.value))
            },
            value: Self.textOnly(value), valueBase64: Self.base64Otherwise(value))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(object) else { return "{}" }
        return PrintableText.escaped(json: String(decoding: data, as: UTF8.self))
    }

    private static func textOnly(_ bytes: [UInt8]?) -> String? {
        bytes.flatMap { String(validating: $0, as: UTF8.self) }
    }

    private static func base64Otherwise(_ bytes: [UInt8]?) -> String? {
        guard let bytes, textOnly(bytes) == nil else { return nil }
        return Data(bytes).base64EncodedString()
    }
}

/// Standard output, where results go.
enum StandardOutput {
    /// Whether somebody looks at it.
    static var isTerminal: Bool { isatty(1) == 1 }

    /// Hands on what was printed, so that a pipe's reader sees it now.
    static func flush() { _ = fflush(nil) }
}
