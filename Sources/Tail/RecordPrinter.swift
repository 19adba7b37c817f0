/// How records are shown.
public enum RecordOutput: Sendable {
    /// Columns for a person.
    case pretty
    /// One JSON array of one object a record.
    case json
    /// One JSON object a line.
    case jsonl
    case format(RecordFormat)

    /// `pretty`, `json`, `jsonl`, `raw`, or a format that has a `%`.
    ///
    /// - Throws: what is wrong with the text.
    public init(parsing text: String) throws(TailSyntaxError) {
        switch text {
        case "pretty": self = .pretty
        case "json": self = .json
        case "jsonl": self = .jsonl
        case "raw": self = .format(.raw)
        default:
            guard text.contains("%") || text.contains("\\") else {
                throw TailSyntaxError(
                    "the output must be pretty, json, jsonl, raw or a format with tokens such as %k %s")
            }
            self = .format(try RecordFormat(text))
        }
    }
}

/// What a terminal or a pipe wants of ``RecordPrinter``.
public struct PrinterSettings: Sendable {
    public var output = RecordOutput.pretty
    /// Whether a terminal shows it; bytes of records then do nothing there but stand on it.
    public var isTerminal = false
    public var isColoured = false
    /// Characters of a line of `pretty` at most; nil for any number.
    public var columns: Int?
    /// Whether values are left out.
    public var isMetaOnly = false
    public var notation = BytesNotation.base64
    /// Whether there are several topics.
    public var namesTopics = false

    public init() {}
}

/// Turns records into bytes: all of the output but its way out.
public struct RecordPrinter: ~Copyable {
    private let settings: PrinterSettings
    private var json: RecordJSON
    private var pretty: PrettyLines
    private var isFirst = true

    public init(_ settings: PrinterSettings) {
        self.settings = settings
        json = RecordJSON(
            notation: settings.notation, isMetaOnly: settings.isMetaOnly, isPrintable: settings.isTerminal)
        pretty = PrettyLines(
            columns: settings.columns, isColoured: settings.isColoured, isMetaOnly: settings.isMetaOnly,
            notation: settings.notation, namesTopics: settings.namesTopics)
    }

    /// Looks at a record that will be written, so that the columns of those before it fit.
    mutating func measure(_ record: borrowing some TailRecord) {
        if case .pretty = settings.output { pretty.measure(record) }
    }

    mutating func write(_ record: borrowing some TailRecord, to out: inout [UInt8]) {
        switch settings.output {
        case .pretty: pretty.write(record, to: &out)
        case .jsonl:
            json.write(record, to: &out)
            out.append(0x0A)
        case .json:
            out.append(isFirst ? "[" : ",\n")
            json.write(record, to: &out)
        case .format(let format): format.write(record, isPrintable: settings.isTerminal, to: &out)
        }
        isFirst = false
    }

    /// Writes what stands behind the last record.
    mutating func end(to out: inout [UInt8]) {
        if case .json = settings.output { out.append(isFirst ? "[]\n" : "]\n") }
    }
}
