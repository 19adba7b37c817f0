internal import Crypto
internal import Glibc
public import Logging
internal import Synchronization

/// The bearer tokens that a server takes, out of files that are read again when they change.
///
/// A file holds one token a line; empty lines and lines that begin with `#` are none. A token has at least 16 of the
/// characters that RFC 6750 allows.
public final class TokenSource: Sendable {
    /// A file cannot be read, or does not hold what it should.
    public struct FileError: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    static let minLength = 16
    private static let maxFileBytes = 1 << 20

    private struct File {
        let path: String
        /// Of the contents that the tokens are out of; nil when the file is gone.
        var contents: TokenDigest?
        var digests: [TokenDigest]
        /// The last thing said about it, so that it is said once.
        var complaint: String?
    }

    private let files: Mutex<[File]>
    /// All files' digests.
    private let digests: Mutex<[TokenDigest]>

    /// Reads the files.
    ///
    /// - Throws: ``FileError`` when one cannot be read or there is no token in any of them.
    public init(files paths: [String]) throws(FileError) {
        var files: [File] = []
        for path in paths {
            guard let bytes = try Self.contents(path) else {
                throw FileError(description: "\(path): there is no such file")
            }
            files.append(
                File(path: path, contents: TokenDigest(bytes), digests: try Self.tokens(in: bytes, of: path)))
        }
        let all = files.flatMap(\.digests)
        guard !all.isEmpty else {
            throw FileError(description: "there is no token in \(paths.joined(separator: ", "))")
        }
        self.files = Mutex(files)
        digests = Mutex(all)
    }

    /// Reads the files again. One that cannot be used leaves its old tokens valid, and says so; one that is gone takes
    /// its tokens along. With no file left no token is valid, which lets nobody in.
    public func reload(logger: Logger) {
        let all: [TokenDigest]? = files.withLock { files in
            var isChanged = false
            for index in files.indices { isChanged = Self.reload(&files[index], logger) || isChanged }
            return isChanged ? files.flatMap(\.digests) : nil
        }
        if let all { digests.withLock { $0 = all } }
    }

    private static func reload(_ file: inout File, _ logger: Logger) -> Bool {
        do throws(FileError) {
            guard let bytes = try contents(file.path) else {
                guard file.contents != nil else { return false }
                file = File(path: file.path, digests: [])
                logger.warning(
                    "the file of tokens is gone, and its tokens with it", metadata: ["file": .string(file.path)])
                return true
            }
            let contents = TokenDigest(bytes)
            let isNew = contents != file.contents
            if isNew {
                file.digests = try tokens(in: bytes, of: file.path)
                file.contents = contents
                logger.notice(
                    "read the tokens again",
                    metadata: ["file": .string(file.path), "tokens": "\(file.digests.count)"])
            }
            file.complaint = nil
            return isNew
        } catch {
            if file.complaint != error.description {
                logger.warning("keeping the old tokens", metadata: ["error": .string(error.description)])
                file.complaint = error.description
            }
            return false
        }
    }

    /// The token's digest when it is one of ours. Takes the same time whichever of them it is, or is not: digests are
    /// compared, all of them, to the last byte, and a digest tells nothing of how close a guess is.
    func digest(ofToken token: Substring) -> TokenDigest? {
        let presented = TokenDigest(token.utf8)
        let isKnown = digests.withLock { digests in
            var isKnown = false
            for digest in digests {
                let isSame = digest.isSame(as: presented)
                isKnown = isKnown || isSame
            }
            return isKnown
        }
        return isKnown ? presented : nil
    }

    // MARK: files

    private static func tokens(in bytes: [UInt8], of path: String) throws(FileError) -> [TokenDigest] {
        var digests: [TokenDigest] = []
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let token = trim(line)
            if token.isEmpty || token.first == UInt8(ascii: "#") { continue }
            guard token.allSatisfy(isTokenByte) else {
                throw FileError(
                    description: "\(path):\(index + 1): a token has letters, digits and the characters -._~+/= only")
            }
            guard token.count >= minLength else {
                throw FileError(description: "\(path):\(index + 1): a token has at least \(minLength) characters")
            }
            digests.append(TokenDigest(token))
        }
        return digests
    }

    /// - Returns: nil when there is no such file.
    private static func contents(_ path: String) throws(FileError) -> [UInt8]? {
        // SAFETY: `open` reads the path while it runs.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw unreadable(path)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4_096)
        while true {
            // SAFETY: `read` writes at most as many bytes as the array has.
            let count = unsafe Glibc.read(descriptor, &piece, piece.count)
            guard count >= 0 else { throw unreadable(path) }
            if count == 0 { break }
            bytes += piece[..<count]
            guard bytes.count <= maxFileBytes else {
                throw FileError(description: "\(path): too large for a file of tokens")
            }
        }
        return bytes
    }

    /// The line without spaces, tabs and carriage returns at its ends.
    private static func trim(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0d].contains(byte) }
        var line = line.drop(while: isBlank)
        while let last = line.last, isBlank(last) { line.removeLast() }
        return line
    }

    private static func unreadable(_ path: String) -> FileError {
        let code = errno
        // SAFETY: strerror answers a valid C string for every number.
        return FileError(description: "\(path): \(unsafe String(cString: strerror(code)))")
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="):
            true
        default: false
        }
    }
}

/// The SHA-256 digest of a token, which is all that is kept of it.
struct TokenDigest: Sendable, Hashable {
    let words: InlineArray<4, UInt64>

    init(_ token: some Collection<UInt8>) {
        var hash = SHA256()
        hash.update(data: Array(token))
        var words: InlineArray<4, UInt64> = .init(repeating: 0)
        for (index, byte) in hash.finalize().enumerated() { words[index / 8] = words[index / 8] << 8 | UInt64(byte) }
        self.words = words
    }

    /// Looks at every byte, whatever the first ones say.
    func isSame(as other: TokenDigest) -> Bool {
        var difference: UInt64 = 0
        for index in words.indices { difference |= words[index] ^ other.words[index] }
        return difference == 0
    }

    static func == (left: TokenDigest, right: TokenDigest) -> Bool { left.isSame(as: right) }
    func hash(into hasher: inout Hasher) { hasher.combine(words[0]) }
}
