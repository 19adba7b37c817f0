public import StreamCore

/// An SQL file of an author.
public struct SQLFile: Hashable, Sendable {
    /// The path for messages.
    public let path: String
    public let text: String

    public init(path: String, text: String) {
        self.path = path
        self.text = text
    }

    /// The file's name without folders and `.sql`.
    public var stem: String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return name.hasSuffix(".sql") ? String(name.dropLast(4)) : name
    }

    /// A position in the file, for messages.
    ///
    /// - Parameter offset: the number of UTF-8 bytes from the start.
    public func place(at offset: Int) -> SQLPlace {
        var line = 1
        var column = 1
        var index = 0
        for scalar in text.unicodeScalars {
            if index >= offset { break }
            index += UTF8.width(scalar)
            if scalar == "\n" {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return SQLPlace(path: path, line: line, column: column)
    }
}

/// A position in an SQL file. Lines and columns begin at 1; columns count characters.
public struct SQLPlace: Hashable, Sendable, CustomStringConvertible {
    public let path: String
    public let line: Int
    public let column: Int

    public init(path: String, line: Int, column: Int) {
        self.path = path
        self.line = line
        self.column = column
    }

    /// `file:line:column`.
    public var description: String { "\(path):\(line):\(column)" }
}

/// A problem of a folder of SQL files, with its position if it is known.
public struct FolderProblem: Error, Hashable, Sendable, CustomStringConvertible {
    public let place: SQLPlace?
    /// The problem, and what to do.
    public let text: String

    public init(_ text: String, at place: SQLPlace? = nil) {
        self.place = place
        self.text = text
    }

    public var description: String { place.map { "\($0): \(text)" } ?? text }
}

/// The problems of a folder of SQL files that cannot be used.
public struct InvalidFolder: Error, Sendable, CustomStringConvertible, RemediableError {
    public let problems: [FolderProblem]
    public var remedy: Remedy { .changeSetup }

    public init(_ problems: [FolderProblem]) {
        self.problems = problems
    }

    /// One problem in each line.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
