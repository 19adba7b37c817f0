internal import Crypto
internal import Glibc
public import Logging
internal import Synchronization

/// The bearer tokens that a server takes, out of files that are looked at again when they change.
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

    /// What tells that a file is another than before.
    private struct Mark: Equatable {
        var device: UInt64
        var inode: UInt64
        var size: Int64
        var seconds: Int
        var nanoseconds: Int
    }

    private struct File {
        let path: String
        var mark: Mark?
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
            let (mark, digests) = try Self.read(path)
            files.append(File(path: path, mark: mark, digests: digests))
        }
        let all = files.flatMap(\.digests)
        guard !all.isEmpty else {
            throw FileError(description: "there is no token in \(paths.joined(separator: ", "))")
        }
        self.files = Mutex(files)
        digests = Mutex(all)
    }

    /// Reads the files that have changed. One that cannot be used leaves its old tokens valid, and says so; one that is
    /// gone takes its tokens along. With no file left no token is valid, which lets nobody in.
    public func reload(logger: Logger) {
        let all: [TokenDigest]? = files.withLock { files in
            var isChanged = false
            for index in files.indices
            where Self.mark(files[index].path) != files[index].mark || files[index].mark == nil {
                isChanged = Self.reload(&files[index], logger) || isChanged
            }
            return isChanged ? files.flatMap(\.digests) : nil
        }
        if let all { digests.withLock { $0 = all } }
    }

    private static func reload(_ file: inout File, _ logger: Logger) -> Bool {
        do throws(FileError) {
            let (mark, digests) = try read(file.path)
            file.mark = mark
            file.digests = digests
            file.complaint = nil
            logger.notice(
                "read the tokens again", metadata: ["file": .string(file.path), "tokens": "\(digests.count)"])
            return true
        } catch {
            // Whatever is there now was looked at; nil lets a file that is missing be looked for again.
            file.mark = mark(file.path)
            if file.mark == nil, errno == ENOENT {
                guard !file.digests.isEmpty else { return false }
                file.digests = []
                file.complaint = nil
                logger.warning(
                    "the file of tokens is gone, and its tokens with it", metadata: ["file": .string(file.path)])
                return true
            }
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

    private static func mark(_ path: String) -> Mark? {
        var status = stat()
        // SAFETY: `stat` fills the value it is given and keeps nothing.
        guard unsafe stat(path, &status) == 0 else { return nil }
        return Mark(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            seconds: Int(status.st_mtim.tv_sec), nanoseconds: Int(status.st_mtim.tv_nsec))
    }

    private static func read(_ path: String) throws(FileError) -> (Mark?, [TokenDigest]) {
        // Taken first: a change while reading is seen the next time.
        let mark = mark(path)
        let bytes = try contents(path)
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
        return (mark, digests)
    }

    private static func contents(_ path: String) throws(FileError) -> [UInt8] {
        // SAFETY: `open` reads the path while it runs.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(path) }
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
