/// Finds the statements of an SQL file: where each ends, which words it begins with, and which parameters it uses. The
/// content of comments, strings and quoted names is skipped.
///
/// The rules are those of PostgreSQL's manual, "Lexical Structure".
public struct SQLScanner {
    public enum Token: Hashable, Sendable {
        /// A key word or a name, in lower case.
        case word(String)
        /// `:name`.
        case parameter(String)
        /// `$1`.
        case positional
        case semicolon
        /// Any other part of a statement.
        case other
    }

    /// A token, and the range of its UTF-8 bytes.
    public struct Found: Hashable, Sendable {
        public let token: Token
        public let range: Range<Int>
    }

    private let file: SQLFile
    private let bytes: [UInt8]
    private var offset = 0

    private init(_ file: SQLFile) {
        self.file = file
        bytes = Array(file.text.utf8)
    }

    /// - Throws: if a string, a quoted name or a comment has no end.
    public static func tokens(of file: SQLFile) throws(FolderProblem) -> [Found] {
        var scanner = SQLScanner(file)
        var found: [Found] = []
        while try scanner.skipSpace() {
            let start = scanner.offset
            let token = try scanner.next()
            found.append(Found(token: token, range: start..<scanner.offset))
        }
        return found
    }

    private func byte(_ distance: Int = 0) -> UInt8 {
        offset + distance < bytes.count ? bytes[offset + distance] : 0
    }

    private func isNext(_ text: StaticString) -> Bool {
        guard offset + text.utf8CodeUnitCount <= bytes.count else { return false }
        // SAFETY: a StaticString's bytes live forever, and the index is below their count.
        return (0..<text.utf8CodeUnitCount).allSatisfy { unsafe bytes[offset + $0] == text.utf8Start[$0] }
    }

    private static func isNameStart(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte >= 0x80 || (byte | 0x20) &- UInt8(ascii: "a") < 26
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    // MARK: what is passed over

    /// - Returns: whether anything comes after spaces and comments.
    private mutating func skipSpace() throws(FolderProblem) -> Bool {
        while offset < bytes.count {
            if isNext("--") {
                while offset < bytes.count, byte() != UInt8(ascii: "\n") { offset += 1 }
            } else if isNext("/*") {
                try skipComment()
            } else if byte() == 0x20 || (0x09...0x0D).contains(byte()) {
                offset += 1
            } else {
                return true
            }
        }
        return false
    }

    /// Skips a comment. Comments may be nested.
    private mutating func skipComment() throws(FolderProblem) {
        let start = offset
        var depth = 0
        repeat {
            if isNext("/*") {
                depth += 1
                offset += 2
            } else if isNext("*/") {
                depth -= 1
                offset += 2
            } else if offset < bytes.count {
                offset += 1
            } else {
                throw FolderProblem("this comment has no end", at: file.place(at: start))
            }
        } while depth > 0
    }

    /// Skips a string or a quoted name. A doubled quote stands for the quote itself.
    private mutating func skipQuoted(_ quote: UInt8, from start: Int, hasEscapes: Bool) throws(FolderProblem) {
        offset += 1
        while offset < bytes.count {
            if hasEscapes, byte() == UInt8(ascii: "\\") {
                offset += 2
            } else if byte() != quote {
                offset += 1
            } else if byte(1) == quote {
                offset += 2
            } else {
                offset += 1
                return
            }
        }
        let what = quote == UInt8(ascii: "'") ? "string" : "quoted name"
        throw FolderProblem("this \(what) has no end", at: file.place(at: start))
    }

    /// Skips `$tag$ … $tag$`.
    ///
    /// - Returns: false if no such string begins here.
    private mutating func skipDollarQuoted() throws(FolderProblem) -> Bool {
        var end = offset + 1
        while end < bytes.count, Self.isNameStart(bytes[end]) || (end > offset + 1 && Self.isDigit(bytes[end])) {
            end += 1
        }
        guard end < bytes.count, bytes[end] == UInt8(ascii: "$") else { return false }
        let start = offset
        let tag = Array(bytes[offset...end])
        offset = end + 1
        while offset + tag.count <= bytes.count {
            if byte() == tag[0], Array(bytes[offset..<(offset + tag.count)]) == tag {
                offset += tag.count
                return true
            }
            offset += 1
        }
        throw FolderProblem("this string has no end", at: file.place(at: start))
    }

    // MARK: tokens

    private mutating func next() throws(FolderProblem) -> Token {
        let start = offset
        switch byte() {
        case UInt8(ascii: ";"):
            offset += 1
            return .semicolon
        case UInt8(ascii: "'"), UInt8(ascii: "\""):
            try skipQuoted(byte(), from: start, hasEscapes: false)
            return .other
        case UInt8(ascii: "$"):
            if Self.isDigit(byte(1)) {
                offset += 1
                while Self.isDigit(byte()) { offset += 1 }
                return .positional
            }
            if try !skipDollarQuoted() { offset += 1 }
            return .other
        case UInt8(ascii: ":"):
            if byte(1) == UInt8(ascii: ":") {
                offset += 2
                return .other
            }
            offset += 1
            guard Self.isNameStart(byte()) else { return .other }
            return .parameter(name())
        case let byte where Self.isNameStart(byte):
            let name = name()
            if name == "e", self.byte() == UInt8(ascii: "'") {
                try skipQuoted(self.byte(), from: start, hasEscapes: true)
                return .other
            }
            return .word(name)
        case let byte where Self.isDigit(byte):
            // The whole number is skipped, so the letters in `1e5` are not a name.
            while Self.isNameStart(self.byte()) || Self.isDigit(self.byte()) || self.byte() == UInt8(ascii: ".") {
                offset += 1
            }
            return .other
        default:
            offset += 1
            return .other
        }
    }

    private mutating func name() -> String {
        let start = offset
        while Self.isNameStart(byte()) || Self.isDigit(byte()) || byte() == UInt8(ascii: "$") { offset += 1 }
        return String(decoding: bytes[start..<offset], as: UTF8.self).lowercased()
    }
}
