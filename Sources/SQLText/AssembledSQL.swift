/// The text of a statement, assembled from parts of the author's file and generated text.
public struct AssembledSQL: Sendable, Hashable {
    public let file: SQLFile
    /// The text that PostgreSQL executes.
    public private(set) var text = ""

    private var characters = 0
    private var pieces: [Piece] = []

    /// The start of a part of the author's text: in the assembled text, in characters, and in the file, in bytes.
    private struct Piece: Hashable {
        let generated: Int
        let original: Int
    }

    public init(of file: SQLFile) {
        self.file = file
    }

    /// Appends generated text.
    public mutating func append(_ added: String) {
        text += added
        characters += added.unicodeScalars.count
    }

    /// Appends a part of the author's text.
    ///
    /// - Parameter range: the bytes of the file.
    public mutating func append(_ range: Range<Int>) {
        pieces.append(Piece(generated: characters, original: range.lowerBound))
        let utf8 = file.text.utf8
        let start = utf8.index(utf8.startIndex, offsetBy: range.lowerBound)
        append(String(file.text[start..<utf8.index(start, offsetBy: range.count)]))
    }

    /// The position of the statement in its file.
    public var place: SQLPlace { file.place(at: pieces.first?.original ?? 0) }

    /// The position in the file of a character of the text.
    ///
    /// - Parameter character: the index in ``text``, from 0; nil if only the statement is known.
    public func place(ofCharacter character: Int?) -> SQLPlace {
        guard let character, let piece = pieces.last(where: { $0.generated <= character }) else { return place }
        let start = file.text.utf8.index(file.text.startIndex, offsetBy: piece.original)
        let scalars = file.text.unicodeScalars
        let end = scalars.index(start, offsetBy: character - piece.generated, limitedBy: scalars.endIndex) ?? start
        return file.place(at: file.text.utf8.distance(from: file.text.startIndex, to: end))
    }
}
