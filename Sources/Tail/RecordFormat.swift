internal import StreamCore

/// A text format for records, with the tokens of kcat's `-f`.
public struct RecordFormat: Sendable {
    enum Part: Equatable, Sendable {
        case literal([UInt8])
        case topic, partition, offset, timestamp, key, keyLength, value, valueLength, valueLengthBinary, headers
    }

    let parts: [Part]

    /// The value and a line end.
    public static let raw = RecordFormat(parts: [.value, .literal([0x0A])])

    private init(parts: [Part]) {
        self.parts = parts
    }

    /// Parses a format.
    ///
    /// - Throws: ``TailSyntaxError``.
    public init(_ text: String) throws(TailSyntaxError) {
        var parser = FormatParser(Array(text.utf8))
        try parser.run()
        parts = parser.parts
    }

    /// - Parameters:
    ///   - record: the record.
    ///   - isPrintable: whether bytes of the record are escaped so that they cannot control a terminal.
    ///   - out: receives the text.
    func write(_ record: borrowing some TailRecord, isPrintable: Bool, to out: inout [UInt8]) {
        for part in parts {
            switch part {
            case .literal(let bytes): out.append(contentsOf: bytes)
            case .topic: out.append(record.topicPartition.topic)
            case .partition: out.append(decimal: Int64(record.topicPartition.partition))
            case .offset: out.append(decimal: record.offset)
            case .timestamp: out.append(decimal: record.timestampMs ?? -1)
            case .key: Self.write(record.key, isPrintable, to: &out)
            case .keyLength: out.append(decimal: Int64(record.key?.count ?? -1))
            case .value: Self.write(record.value, isPrintable, to: &out)
            case .valueLength: out.append(decimal: Int64(record.value?.count ?? -1))
            case .valueLengthBinary:
                let length = UInt32(bitPattern: Int32(clamping: record.value?.count ?? -1))
                for shift in [24, 16, 8, 0] as [UInt32] { out.append(UInt8(truncatingIfNeeded: length >> shift)) }
            case .headers: Self.writeHeaders(of: record, isPrintable, to: &out)
            }
        }
    }

    private static func writeHeaders(
        of record: borrowing some TailRecord, _ isPrintable: Bool, to out: inout [UInt8]
    ) {
        var isFirst = true
        var text: [UInt8] = []
        record.forEachHeader { name, value in
            if !isFirst { text.append(UInt8(ascii: ",")) }
            isFirst = false
            write(name, isPrintable, to: &text)
            text.append(UInt8(ascii: "="))
            write(value, isPrintable, to: &text)
        }
        out.append(contentsOf: text)
    }

    @inline(__always)
    private static func write(_ bytes: Span<UInt8>?, _ isPrintable: Bool, to out: inout [UInt8]) {
        guard let bytes else { return out.append("null") }
        if isPrintable { PrintableBytes.append(bytes, to: &out) } else { out.append(bytes) }
    }
}

/// A syntax error in an option of the command line.
public struct TailSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

private struct FormatParser {
    private let text: [UInt8]
    private var index = 0
    private var literal: [UInt8] = []
    private(set) var parts: [RecordFormat.Part] = []

    init(_ text: [UInt8]) {
        self.text = text
    }

    mutating func run() throws(TailSyntaxError) {
        while let byte = next() {
            switch byte {
            case UInt8(ascii: "%"): try readToken()
            case UInt8(ascii: "\\"): try readEscape()
            default: literal.append(byte)
            }
        }
        endLiteral()
    }

    private mutating func next() -> UInt8? {
        guard index < text.count else { return nil }
        defer { index += 1 }
        return text[index]
    }

    private mutating func endLiteral() {
        if !literal.isEmpty { parts.append(.literal(literal)) }
        literal = []
    }

    private mutating func readToken() throws(TailSyntaxError) {
        let part: RecordFormat.Part
        switch next() {
        case UInt8(ascii: "%"):
            literal.append(UInt8(ascii: "%"))
            return
        case UInt8(ascii: "t"): part = .topic
        case UInt8(ascii: "p"): part = .partition
        case UInt8(ascii: "o"): part = .offset
        case UInt8(ascii: "T"): part = .timestamp
        case UInt8(ascii: "k"): part = .key
        case UInt8(ascii: "K"): part = .keyLength
        case UInt8(ascii: "s"): part = .value
        case UInt8(ascii: "S"): part = .valueLength
        case UInt8(ascii: "R"): part = .valueLengthBinary
        case UInt8(ascii: "h"): part = .headers
        default:
            throw TailSyntaxError(
                "in the format, % must be followed by one of t, p, o, T, k, K, s, S, R, h or %, at character \(index)")
        }
        endLiteral()
        parts.append(part)
    }

    private mutating func readEscape() throws(TailSyntaxError) {
        switch next() {
        case UInt8(ascii: "n"): literal.append(0x0A)
        case UInt8(ascii: "r"): literal.append(0x0D)
        case UInt8(ascii: "t"): literal.append(0x09)
        case UInt8(ascii: "0"): literal.append(0x00)
        case UInt8(ascii: "\\"): literal.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "x"):
            let digits = text[index..<min(index + 2, text.count)]
            guard digits.count == 2, let byte = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                throw TailSyntaxError(
                    #"in the format, two hexadecimal digits must follow \x, at character \#(index)"#)
            }
            literal.append(byte)
            index += 2
        default:
            throw TailSyntaxError(
                #"in the format, \ must be followed by n, r, t, 0, \ or xNN, at character \#(index)"#)
        }
    }
}
