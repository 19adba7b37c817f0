internal import Digests
internal import SQLText
internal import WireJSON

/// The digests of a folder's files, by name. They cover everything that determines the rows of the tables.
///
/// They do not cover comments, space between words, test cases, queries and `unchecked_columns`, which do not change
/// the rows.
struct FolderDefinition: Sendable, Hashable {
    /// Hexadecimal SHA-256 digests by file names.
    private(set) var digests: [String: String] = [:]

    /// - Parameter settings: the content of `projection.toml`.
    init(_ settings: ProjectionFileSettings, _ files: [SQLFile]) throws(FolderProblem) {
        digests["projection.toml"] = Self.digest(settings.definition)
        for file in files { digests[file.stem + ".sql"] = Self.digest(try Self.words(of: file)) }
    }

    /// The relevant content of the file: its tokens, separated by spaces.
    private static func words(of file: SQLFile) throws(FolderProblem) -> String {
        let utf8 = file.text.utf8
        return try SQLScanner.tokens(of: file).map { found in
            let start = utf8.index(utf8.startIndex, offsetBy: found.range.lowerBound)
            return String(file.text[start..<utf8.index(start, offsetBy: found.range.count)])
        }.joined(separator: " ")
    }

    private static func digest(_ text: String) -> String {
        SHA256.digest(of: text).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    /// The digests as a JSON object.
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
