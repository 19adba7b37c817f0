internal import SQLText

/// Reads the comment at the beginning of a query's file: directives (`-- @name …`), and lines that describe the query.
struct QueryHeader {
    private(set) var problems: [FolderProblem] = []
    private(set) var reads: [SQLQuery.Source] = []
    private(set) var parameters: [(parameter: QueryParameter, place: SQLPlace)] = []
    private(set) var path: QueryPath?
    private(set) var order: [SQLQuery.OrderColumn] = []
    private(set) var defaultLimit = 50
    private(set) var maxLimit = 200
    private(set) var cacheMs: Int?
    private(set) var timeoutMs = 1_000
    private(set) var versionColumn: String?
    private var lines: [String] = []
    private var seen: Set<String> = []
    /// The offset of ``path`` in the file.
    private var pathOffset = 0
    private let file: SQLFile

    /// Maximum number of rows in an answer.
    static let mostRows = 10_000
    /// Names with a meaning in the requests of all queries.
    static let reserved: Set<String> = ["limit", "cursor", "min_version"]
    private static let directives = ["param", "reads", "path", "order", "limit", "cache", "timeout", "version"]

    init(_ file: SQLFile) {
        self.file = file
    }

    /// The lines that are not directives, joined to paragraphs.
    var description: String {
        lines.split(separator: "", omittingEmptySubsequences: true).map { $0.joined(separator: " ") }
            .joined(separator: "\n\n")
    }

    mutating func read() {
        var offset = 0
        for line in file.text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("--") else { break }
            var words = HeaderWords(line, offset)
            words.skip(2)
            if words.takePrefix("@") {
                directive(&words)
            } else {
                lines.append(words.rest)
            }
            offset += line.utf8.count + 1
        }
        if reads.isEmpty && problems.isEmpty {
            complain("name the projections that the query reads: -- @reads NAME", 0)
        }
        checkPath()
    }

    private mutating func complain(_ text: String, _ offset: Int) {
        problems.append(FolderProblem(text, at: file.place(at: offset)))
    }

    private mutating func directive(_ words: inout HeaderWords) {
        let start = words.offset
        guard let name = words.next() else { return complain("a directive must have a name", start) }
        guard Self.directives.contains(name) else {
            return complain("there is no @\(name); there are @\(Self.directives.joined(separator: ", @"))", start)
        }
        if name != "param" && name != "reads" && !seen.insert(name).inserted {
            return complain("@\(name) occurs twice", start)
        }
        switch name {
        case "param": parameter(&words)
        case "reads": source(&words)
        case "path": ownPath(&words)
        case "order": orderColumns(&words)
        case "limit": limits(&words)
        case "cache": cacheMs = duration(&words, upTo: 3_600_000)
        case "timeout": timeoutMs = duration(&words, upTo: 600_000) ?? timeoutMs
        default: versionColumn = column(&words)
        }
        if problems.isEmpty, name != "param", let more = words.next() {
            complain("unexpected \(more)", words.lastOffset)
        }
    }

    // MARK: directives

    /// Reads `NAME` or `NAME@VERSION`, separated by commas.
    private mutating func source(_ words: inout HeaderWords) {
        for (text, offset) in words.list() {
            let parts = text.split(separator: "@", omittingEmptySubsequences: false)
            let version = parts.count == 2 ? Int(parts[1]) : nil
            guard !parts[0].isEmpty, parts.count == 1 || (version ?? 0) > 0 else {
                complain("expected a projection's name, or NAME@VERSION", offset)
                continue
            }
            reads.append(SQLQuery.Source(name: String(parts[0]), version: version))
        }
    }

    /// Reads `/v1/…/{parameter}/…`.
    private mutating func ownPath(_ words: inout HeaderWords) {
        let text = words.next() ?? ""
        pathOffset = words.lastOffset
        do throws(QueryPath.Invalid) {
            path = try QueryPath(text)
        } catch {
            complain(error.text, pathOffset + error.offset)
        }
    }

    /// The position of the path; of the header if there is no path.
    var pathPlace: SQLPlace { file.place(at: pathOffset) }

    /// Checks the path's parameters, which may be declared after it.
    private mutating func checkPath() {
        for name in path?.parameters ?? [] {
            guard let parameter = parameters.first(where: { $0.parameter.name == name })?.parameter else {
                complain("there is no parameter \(name); declare it: -- @param \(name) text", pathOffset)
                continue
            }
            if parameter.isList { complain("\(name) is a list, which a path cannot give", pathOffset) }
        }
    }

    /// Reads `COLUMN [asc|desc], …`.
    private mutating func orderColumns(_ words: inout HeaderWords) {
        for (text, offset) in words.list() {
            let parts = text.split(separator: " ").map(String.init)
            guard let name = parts.first, parts.count <= 2, parts.count == 1 || ["asc", "desc"].contains(parts[1])
            else {
                complain("expected COLUMN, COLUMN asc or COLUMN desc", offset)
                continue
            }
            order.append(SQLQuery.OrderColumn(name: name, isDescending: parts.count == 2 && parts[1] == "desc"))
        }
        if order.isEmpty && problems.isEmpty {
            complain("expected the columns that a page is ordered by", words.offset)
        }
    }

    /// Reads `default=N max=N`.
    private mutating func limits(_ words: inout HeaderWords) {
        while let word = words.next() {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let number = Int(parts[1]), (1...Self.mostRows).contains(number),
                ["default", "max"].contains(parts[0])
            else { return complain("expected default=ROWS max=ROWS, from 1 to \(Self.mostRows)", words.lastOffset) }
            if parts[0] == "max" { maxLimit = number } else { defaultLimit = number }
        }
        if defaultLimit > maxLimit { complain("the default is greater than the maximum", words.offset) }
    }

    private mutating func duration(_ words: inout HeaderWords, upTo most: Int) -> Int? {
        let text = words.next() ?? ""
        let unit = text.hasSuffix("ms") ? 1 : text.hasSuffix("s") ? 1_000 : 0
        guard unit > 0, let number = Int(text.dropLast(unit == 1 ? 2 : 1)), number > 0, number <= most / unit else {
            complain("expected a time of up to \(most / 1_000)s, such as 500ms or 5s", words.lastOffset)
            return nil
        }
        return number * unit
    }

    private mutating func column(_ words: inout HeaderWords) -> String? {
        guard let name = words.next() else {
            complain("expected a column's name", words.offset)
            return nil
        }
        return name
    }

    // MARK: parameters

    /// Reads `NAME TYPE [required] [default=VALUE] [min=…] [max=…] [items=N] DESCRIPTION`.
    private mutating func parameter(_ words: inout HeaderWords) {
        let place = file.place(at: words.offset)
        guard let name = words.next() else { return complain("expected @param NAME TYPE", words.offset) }
        if !Self.isName(name) {
            return complain(
                "a parameter's name must consist of lower-case letters, digits and underscores", words.lastOffset)
        }
        if Self.reserved.contains(name) { return complain("\(name) is a reserved name", words.lastOffset) }
        if parameters.contains(where: { $0.parameter.name == name }) {
            return complain("\(name) is declared twice", words.lastOffset)
        }
        guard var type = words.next() else { return complain("expected the type of \(name)", words.offset) }
        let typeOffset = words.lastOffset
        let isList = type.hasSuffix("[]")
        if isList { type.removeLast(2) }
        guard let kind = Self.kind(type) else {
            return complain(
                """
                expected text, integer, decimal, boolean, date, timestamp, uuid or enum(WORD,…), for a list with [] \
                after it
                """, typeOffset)
        }
        guard let options = options(&words, kind, isList) else { return }
        let parameter = QueryParameter(
            name, kind, isList: isList, isRequired: options.isRequired, default: options.defaultValue,
            options.bounds, words.rest)
        parameters.append((parameter, place))
    }

    private struct Options {
        var isRequired = false
        var defaultValue: QueryValue?
        var bounds = QueryParameter.Bounds()
    }

    private mutating func options(
        _ words: inout HeaderWords, _ kind: QueryParameter.Kind, _ isList: Bool
    ) -> Options? {
        var options = Options()
        var defaultText: (text: String, offset: Int)?
        while let (key, value) = words.nextOption() {
            let offset = words.lastOffset
            switch (key, kind) {
            case ("required", _): options.isRequired = true
            case ("default", _) where !isList: defaultText = (value, offset)
            case ("items", _) where isList && (1...1_000).contains(Int(value) ?? 0):
                options.bounds.count = Int(value) ?? 1
            case ("max", .text) where (1...QueryParameter.longestText).contains(Int(value) ?? 0):
                options.bounds.length = Int(value) ?? 1
            case ("min", .integer) where Int64(value) != nil, ("min", .decimal) where SignedDecimal(value) != nil:
                options.bounds.min = value
            case ("max", .integer) where Int64(value) != nil, ("max", .decimal) where SignedDecimal(value) != nil:
                options.bounds.max = value
            default:
                complain("\(key)=\(value) is not an option of this type", offset)
                return nil
            }
        }
        if let (text, offset) = defaultText {
            if options.isRequired {
                complain("a required parameter must not have a default", offset)
                return nil
            }
            do throws(QueryParameter.Refusal) {
                options.defaultValue = try QueryParameter.value(of: text, kind, options.bounds)
            } catch {
                complain("the default \(error.detail)", offset)
                return nil
            }
        }
        return options
    }

    private static func isName(_ name: String) -> Bool {
        let isLetter: (UInt8) -> Bool = { $0 &- UInt8(ascii: "a") < 26 || $0 == UInt8(ascii: "_") }
        return name.utf8.count <= 40 && name.utf8.first.map(isLetter) == true
            && name.utf8.allSatisfy { isLetter($0) || $0 &- UInt8(ascii: "0") < 10 }
    }

    private static func kind(_ type: String) -> QueryParameter.Kind? {
        switch type {
        case "text": return .text
        case "integer": return .integer
        case "decimal": return .decimal
        case "boolean": return .boolean
        case "date": return .date
        case "timestamp": return .timestamp
        case "uuid": return .uuid
        default:
            guard type.hasPrefix("enum("), type.hasSuffix(")") else { return nil }
            let words = type.dropFirst(5).dropLast().split(separator: ",", omittingEmptySubsequences: false)
            guard words.allSatisfy({ !$0.isEmpty }), Set(words).count == words.count else { return nil }
            return .choice(words.map(String.init))
        }
    }
}

/// The words of one line of a header, with their positions.
private struct HeaderWords {
    /// The offset of the next word, in bytes from the start of the file.
    private(set) var offset: Int
    /// The offset of the last word.
    private(set) var lastOffset: Int
    private var bytes: ArraySlice<UInt8>

    init(_ line: Substring, _ offset: Int) {
        self.offset = offset
        lastOffset = offset
        bytes = Array(line.utf8)[...]
        while let last = bytes.last, Self.isSpace(last) { bytes.removeLast() }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

    mutating func skip(_ count: Int) {
        bytes = bytes.dropFirst(count)
        offset += count
        skipSpaces()
    }

    private mutating func skipSpaces() {
        while let byte = bytes.first, Self.isSpace(byte) {
            bytes.removeFirst()
            offset += 1
        }
    }

    mutating func takePrefix(_ text: StaticString) -> Bool {
        guard let first = bytes.first, text.utf8CodeUnitCount == 1, text.description.utf8.first == first else {
            return false
        }
        bytes.removeFirst()
        offset += 1
        return true
    }

    /// The rest of the line.
    var rest: String { String(decoding: bytes, as: UTF8.self) }

    /// The next word.
    mutating func next() -> String? {
        lastOffset = offset
        let word = bytes.prefix { !Self.isSpace($0) }
        guard !word.isEmpty else { return nil }
        skip(word.count)
        return String(decoding: word, as: UTF8.self)
    }

    /// Reads `required`, or `key=value` whose value may be in double quotes; nil for anything else.
    mutating func nextOption() -> (key: String, value: String)? {
        lastOffset = offset
        let key = bytes.prefix { $0 &- UInt8(ascii: "a") < 26 || $0 == UInt8(ascii: "_") }
        let after = bytes.dropFirst(key.count)
        let name = String(decoding: key, as: UTF8.self)
        if name == "required", after.first.map(Self.isSpace) ?? true {
            skip(key.count)
            return (name, "")
        }
        guard !key.isEmpty, after.first == UInt8(ascii: "=") else { return nil }
        var value = after.dropFirst()
        var length: Int
        if value.first == UInt8(ascii: "\""), let end = value.dropFirst().firstIndex(of: UInt8(ascii: "\"")) {
            length = end + 1 - value.startIndex
            value = value[(value.startIndex + 1)..<end]
        } else {
            value = value.prefix { !Self.isSpace($0) }
            length = value.count
        }
        length += key.count + 1
        skip(length)
        return (name, String(decoding: value, as: UTF8.self))
    }

    /// Reads texts that are separated by commas, without the spaces around them.
    mutating func list() -> [(text: String, offset: Int)] {
        var parts: [(String, Int)] = []
        while !bytes.isEmpty {
            lastOffset = offset
            let start = offset
            let part = bytes.prefix { $0 != UInt8(ascii: ",") }
            var text = part
            while let last = text.last, Self.isSpace(last) { text.removeLast() }
            parts.append((String(decoding: text, as: UTF8.self), start))
            skip(min(part.count + 1, bytes.count))
        }
        return parts
    }
}
