internal import Digests
internal import Glibc
public import Logging
internal import Synchronization

/// The accepted bearer tokens, from files that are read again when they change.
///
/// A file has one token in each line. Empty lines and lines that begin with `#` are ignored. A token has at least 16 of
/// the characters that RFC 6750 allows. After the token and a space, a line may name the token's tenant: `tenant=acme`.
public final class TokenSource: Sendable {
    /// A file cannot be read, or its content is invalid.
    public struct FileError: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    static let minLength = 16
    private static let maxFileBytes = 1 << 20

    private struct File {
        let path: String
        let takesTenants: Bool
        /// The digest of the file's last valid content; nil if the file no longer exists.
        var contents: TokenDigest?
        var tokens: [KnownToken]
        /// The last logged problem of the file, which is not logged again.
        var complaint: String?
    }

    private let files: Mutex<[File]>
    /// The tokens of all files.
    private let tokens: Mutex<[KnownToken]>

    /// Reads the files.
    ///
    /// - Parameter takesTenants: whether a token may belong to a tenant. Use it only if the service shows each tenant
    ///   only its own data.
    /// - Throws: ``FileError`` if a file cannot be read, or no file contains a token.
    public init(files paths: [String], takesTenants: Bool = false) throws(FileError) {
        var files: [File] = []
        for path in paths {
            guard let bytes = try Self.contents(path) else {
                throw FileError(description: "\(path): there is no such file")
            }
            var file = File(path: path, takesTenants: takesTenants, contents: TokenDigest(bytes), tokens: [])
            file.tokens = try Self.tokens(in: bytes, of: file)
            files.append(file)
        }
        let all = files.flatMap(\.tokens)
        guard !all.isEmpty else {
            throw FileError(description: "there is no token in \(paths.joined(separator: ", "))")
        }
        self.files = Mutex(files)
        tokens = Mutex(all)
    }

    /// Reads the files again. If a file is invalid, its old tokens stay valid and a warning is logged. If a file no
    /// longer exists, its tokens become invalid. Without any file, no token is valid.
    public func reload(logger: Logger) {
        let all: [KnownToken]? = files.withLock { files in
            var isChanged = false
            for index in files.indices { isChanged = Self.reload(&files[index], logger) || isChanged }
            return isChanged ? files.flatMap(\.tokens) : nil
        }
        if let all { tokens.withLock { $0 = all } }
    }

    private static func reload(_ file: inout File, _ logger: Logger) -> Bool {
        do throws(FileError) {
            guard let bytes = try contents(file.path) else {
                guard file.contents != nil else { return false }
                file = File(path: file.path, takesTenants: file.takesTenants, tokens: [])
                logger.warning(
                    "a token file was removed; its tokens are no longer valid", metadata: ["file": .string(file.path)])
                return true
            }
            let contents = TokenDigest(bytes)
            let isNew = contents != file.contents
            if isNew {
                file.tokens = try tokens(in: bytes, of: file)
                file.contents = contents
                logger.notice(
                    "reloaded the tokens",
                    metadata: ["file": .string(file.path), "tokens": "\(file.tokens.count)"])
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

    /// The token if it is known. The duration does not depend on the token: all digests are compared completely, and a
    /// digest does not show how close a guess is.
    func known(_ token: Substring) -> KnownToken? {
        let presented = TokenDigest(token.utf8)
        return tokens.withLock { tokens in
            var found: Int?
            for (index, token) in tokens.enumerated() {
                let isSame = token.digest.isSame(as: presented)
                found = isSame ? index : found
            }
            return found.map { tokens[$0] }
        }
    }

    // MARK: files

    private static func tokens(in bytes: [UInt8], of file: File) throws(FileError) -> [KnownToken] {
        var tokens: [KnownToken] = []
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let place = "\(file.path):\(index + 1)"
            let words = line.split(whereSeparator: isBlank)
            guard let token = words.first, token.first != UInt8(ascii: "#") else { continue }
            guard token.allSatisfy(isTokenByte) else {
                throw FileError(
                    description: "\(place): a token may contain only letters, digits and the characters -._~+/=")
            }
            guard token.count >= minLength else {
                throw FileError(description: "\(place): a token must have at least \(minLength) characters")
            }
            let tenantID = try tenant(words.dropFirst(), at: place)
            if tenantID != nil, !file.takesTenants {
                throw FileError(
                    description: "\(place): the token has a tenant, but this service does not support tenants")
            }
            tokens.append(KnownToken(token, tenantID: tenantID))
        }
        return tokens
    }

    /// Reads the text after a token.
    private static func tenant(_ words: ArraySlice<ArraySlice<UInt8>>, at place: String) throws(FileError) -> String? {
        guard let word = words.first else { return nil }
        let key = Array("tenant=".utf8)
        guard words.count == 1, word.starts(with: key), (1...255).contains(word.count - key.count),
            let name = String(validating: word.dropFirst(key.count), as: UTF8.self)
        else {
            throw FileError(
                description: "\(place): only tenant=NAME, with a name of 1 to 255 bytes, may follow a token")
        }
        return name
    }

    /// - Returns: nil if the file does not exist.
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
                throw FileError(description: "\(path): the token file is larger than \(maxFileBytes) bytes")
            }
        }
        return bytes
    }

    /// Whether the byte is a space, a tab or a carriage return.
    private static func isBlank(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0d].contains(byte) }

    private static func unreadable(_ path: String) -> FileError {
        let code = errno
        // SAFETY: strerror returns a valid C string for every number.
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

/// The stored data of a token.
struct KnownToken: Sendable {
    let digest: TokenDigest
    /// The first half of the digest in hexadecimal digits. It names the owner of the token.
    let name: String
    let tenantID: String?

    init(_ token: some Collection<UInt8>, tenantID: String?) {
        digest = TokenDigest(token)
        name = digest.description
        self.tenantID = tenantID
    }
}

/// The SHA-256 digest of a token. The token itself is not stored.
struct TokenDigest: Sendable, Hashable {
    let words: InlineArray<4, UInt64>

    init(_ token: some Collection<UInt8>) {
        var words: InlineArray<4, UInt64> = .init(repeating: 0)
        for (index, byte) in SHA256.digest(of: Array(token)).enumerated() {
            words[index / 8] = words[index / 8] << 8 | UInt64(byte)
        }
        self.words = words
    }

    /// The first half in hexadecimal digits.
    var description: String {
        (0..<2).map { index in
            let digits = String(words[index], radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// Compares all words, even if the first ones differ.
    func isSame(as other: TokenDigest) -> Bool {
        var difference: UInt64 = 0
        for index in words.indices { difference |= words[index] ^ other.words[index] }
        return difference == 0
    }

    static func == (left: TokenDigest, right: TokenDigest) -> Bool { left.isSame(as: right) }
    func hash(into hasher: inout Hasher) { hasher.combine(words[0]) }
}
