/// Finds the positions of the keys in a TOML document.
///
/// The parser library does not report positions. This scanner knows just enough of TOML's grammar to walk from key to
/// key. It only receives text that the library has accepted, so it reports no errors.
struct KeyPositions {
    private let bytes: [UInt8]
    private var index = 0
    private var line = 1
    private var lineStart = 0
    private var found: [[String]: SourcePosition] = [:]

    /// The position of every key by its path from the root. If a path occurs several times, it is the first position.
    static func find(in text: String) -> [[String]: SourcePosition] {
        var scanner = KeyPositions(bytes: Array(text.utf8))
        scanner.document()
        return scanner.found
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    private var position: SourcePosition {
        let characters = bytes[lineStart..<index].count { $0 & 0xC0 != 0x80 }
        return SourcePosition(line: line, column: characters + 1)
    }

    private mutating func advance() {
        if bytes[index] == UInt8(ascii: "\n") {
            line += 1
            lineStart = index + 1
        }
        index += 1
    }

    // MARK: the required part of the grammar

    private mutating func document() {
        var table: [String] = []
        while skipBlank(), let byte = current {
            let start = index
            if byte == UInt8(ascii: "[") {
                while current == UInt8(ascii: "[") { advance() }
                table = keys(after: [])
                while current == UInt8(ascii: "]") { advance() }
            } else {
                keyAndValue(in: table)
            }
            if index == start { advance() }
        }
    }

    private mutating func keyAndValue(in table: [String]) {
        let path = keys(after: table)
        skipSpaces()
        if current == UInt8(ascii: "=") { advance() }
        skipSpaces()
        value(at: path)
    }

    /// Reads a key such as `a.b."c d"`, and records the position of each part.
    private mutating func keys(after prefix: [String]) -> [String] {
        var path = prefix
        repeat {
            if current == UInt8(ascii: ".") { advance() }
            skipSpaces()
            let start = position
            path.append(key())
            if found[path] == nil { found[path] = start }
            skipSpaces()
        } while current == UInt8(ascii: ".")
        return path
    }

    private mutating func key() -> String {
        if let quote = current, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            let start = index
            string(quotedBy: quote)
            return String(decoding: bytes[(start + 1)..<max(index - 1, start + 1)], as: UTF8.self)
        }
        let start = index
        while let byte = current, Self.isBare(byte) { advance() }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private mutating func value(at path: [String]) {
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            string(quotedBy: bytes[index])
        case UInt8(ascii: "["):
            list(until: UInt8(ascii: "]")) { $0.value(at: path) }
        case UInt8(ascii: "{"):
            list(until: UInt8(ascii: "}")) { $0.keyAndValue(in: path) }
        default:
            while let byte = current, !Self.endsBareValue(byte) { advance() }
        }
    }

    /// Reads the elements between two brackets. The scanner is at the opening bracket.
    private mutating func list(until end: UInt8, element: (inout KeyPositions) -> Void) {
        advance()
        while skipBlank(), let byte = current, byte != end {
            let start = index
            if byte == UInt8(ascii: ",") { advance() } else { element(&self) }
            if index == start { advance() }
        }
        if current != nil { advance() }
    }

    /// Reads a string with one or three quotes at each end.
    private mutating func string(quotedBy quote: UInt8) {
        var quotes = 0
        while current == quote, quotes < 3 {
            advance()
            quotes += 1
        }
        if quotes == 2 { return }
        while let byte = current {
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\""), index + 1 < bytes.count { advance() }
            advance()
            guard byte == quote else { continue }
            if quotes == 1 { return }
            var run = 1
            while current == quote {
                advance()
                run += 1
            }
            if run >= 3 { return }
        }
    }

    /// Skips white space, line ends and comments. Always returns true.
    private mutating func skipBlank() -> Bool {
        while let byte = current {
            if byte == UInt8(ascii: "#") {
                while current != nil, current != UInt8(ascii: "\n") { advance() }
            } else if byte <= UInt8(ascii: " ") {
                advance()
            } else {
                break
            }
        }
        return true
    }

    private mutating func skipSpaces() {
        while let byte = current, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { advance() }
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func endsBareValue(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "#"), UInt8(ascii: "\n"): true
        default: false
        }
    }
}
