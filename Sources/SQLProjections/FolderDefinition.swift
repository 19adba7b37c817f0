internal import Crypto
internal import SQLText
internal import WireJSON

/// What of a folder decides which rows events come to: a digest of each file, by the file's name.
///
/// Comments and the space between words decide nothing, and neither do cases, queries and `unchecked_columns`.
struct FolderDefinition: Sendable, Hashable {
    /// Hexadecimal SHA-256 digests by file names.
    private(set) var digests: [String: String] = [:]

    /// - Parameter settings: `projection.toml`, as it was understood.
    init(_ settings: ProjectionFileSettings, _ files: [SQLFile]) throws(FolderProblem) {
        digests["projection.toml"] = Self.digest(settings.definition)
        for file in files { digests[file.stem + ".sql"] = Self.digest(try Self.words(of: file)) }
    }

    /// The file without what decides nothing: its tokens, a space between them.
    private static func words(of file: SQLFile) throws(FolderProblem) -> String {
        let utf8 = file.text.utf8
        return try SQLScanner.tokens(of: file).map { found in
            let start = utf8.index(utf8.startIndex, offsetBy: found.range.lowerBound)
            return String(file.text[start..<utf8.index(start, offsetBy: found.range.count)])
        }.joined(separator: " ")
    }

    private static func digest(_ text: String) -> String {
        SHA256.hash(data: Array(text.utf8)).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    /// An object of the digests.
    var json: String {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, digest) in digests.sorted(by: { $0.key < $1.key }) {
            writer.key(name)
            writer.string(digest)
        }
        writer.endObject()
        return String(decoding: writer.finish(), as: UTF8.self)
    }
}
