/// A statement's text, put together from pieces of its author's file and text between them.
public struct AssembledSQL: Sendable, Hashable {
    public let file: SQLFile
    /// What PostgreSQL runs.
    public private(set) var text = ""

    private var characters = 0
    private var pieces: [Piece] = []

    /// Where a piece of the author's text begins: in the text that runs, in characters, and in the file, in bytes.
    private struct Piece: Hashable {
        let generated: Int
        let original: Int
    }

    public init(of file: SQLFile) {
        self.file = file
    }

    /// Text that is not the author's.
    public mutating func append(_ added: String) {
        text += added
        characters += added.unicodeScalars.count
    }

    /// The author's text.
    ///
    /// - Parameter range: bytes of the file.
    public mutating func append(_ range: Range<Int>) {
        pieces.append(Piece(generated: characters, original: range.lowerBound))
        let utf8 = file.text.utf8
        let start = utf8.index(utf8.startIndex, offsetBy: range.lowerBound)
        append(String(file.text[start..<utf8.index(start, offsetBy: range.count)]))
    }

    /// Where the statement begins in its file.
    public var place: SQLPlace { file.place(at: pieces.first?.original ?? 0) }

    /// Where a character of the text stands in the file.
    ///
    /// - Parameter character: from 0, as it stands in ``text``; nil where only the statement is known.
    public func place(ofCharacter character: Int?) -> SQLPlace {
        guard let character, let piece = pieces.last(where: { $0.generated <= character }) else { return place }
        let start = file.text.utf8.index(file.text.startIndex, offsetBy: piece.original)
        let scalars = file.text.unicodeScalars
        let end = scalars.index(start, offsetBy: character - piece.generated, limitedBy: scalars.endIndex) ?? start
        return file.place(at: file.text.utf8.distance(from: file.text.startIndex, to: end))
    }
}
