/// The output format of records.
public enum RecordOutput: Sendable {
    /// Columns for people.
    case pretty
    /// A JSON array with one object for each record.
    case json
    /// One JSON object in each line.
    case jsonl
    case format(RecordFormat)

    /// Parses `pretty`, `json`, `jsonl`, `raw`, or a format that contains `%` or `\`.
    ///
    /// - Throws: ``TailSyntaxError``.
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

/// The settings of a ``RecordPrinter``.
public struct PrinterSettings: Sendable {
    public var output = RecordOutput.pretty
    /// Whether a terminal shows the output. Bytes of records are then escaped so that they cannot control it.
    public var isTerminal = false
    public var isColoured = false
    /// The maximum number of characters in a line of `pretty`; nil for no limit.
    public var columns: Int?
    /// Whether to omit values.
    public var isMetaOnly = false
    public var notation = BytesNotation.base64
    /// Whether to show topic names, because there are several topics.
    public var namesTopics = false

    public init() {}
}

/// Converts records to the bytes of the output.
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

    /// Widens the columns for a record that will be written, so that earlier lines fit.
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

    /// Writes the end of the output, after the last record.
    mutating func end(to out: inout [UInt8]) {
        if case .json = settings.output { out.append(isFirst ? "[]\n" : "]\n") }
    }
}
