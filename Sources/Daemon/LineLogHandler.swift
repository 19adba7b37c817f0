internal import Glibc
internal import Logging
internal import StreamCore
internal import Synchronization
internal import WireJSON

/// The format of log lines.
enum LogFormat: String, CaseIterable, Sendable {
    case text, json
}

/// Writes each event as one line of text or JSON to standard error.
///
/// A value is cut to ``longestValue`` bytes, so that a line stays readable whatever a server answers.
struct LineLogHandler: LogHandler {
    static let longestValue = 2_000

    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    /// The level of this logger if it was set, or else the daemon's level, which may change.
    var logLevel: Logger.Level {
        get { ownLevel ?? level.now }
        set { ownLevel = newValue }
    }
    private var ownLevel: Logger.Level?
    private let level: Live<Logger.Level>
    private let label: String
    private let format: LogFormat
    private let write: @Sendable ([UInt8]) -> Void

    /// - Parameters:
    ///   - label: the name of the logger, which JSON lines contain.
    ///   - level: the daemon's level.
    ///   - format: the format of the lines.
    ///   - write: writes one line, including its end.
    init(
        label: String, level: Live<Logger.Level>, format: LogFormat,
        write: @escaping @Sendable ([UInt8]) -> Void = StandardError.write
    ) {
        self.label = label
        self.level = level
        self.format = format
        self.write = write
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var values = metadata
        if let provided = metadataProvider?.get() { values.merge(provided) { _, new in new } }
        if let own = event.metadata { values.merge(own) { _, new in new } }
        if let error = event.error { values["error"] = "\(error)" }
        let pairs = values.sorted { $0.key < $1.key }
        var line = ""
        switch format {
        case .text: appendText(event, pairs, to: &line)
        case .json: appendJSON(event, pairs, to: &line)
        }
        line += "\n"
        write(Array(line.utf8))
    }

    private func appendText(
        _ event: LogEvent, _ pairs: [(key: String, value: Logger.MetadataValue)], to line: inout String
    ) {
        let level = event.level.rawValue.uppercased()
        line += "\(Timestamp.now) \(level)"
        line += String(repeating: " ", count: max(1, 9 - level.count))
        line += LogText.escaped(LogText.cut("\(event.message)"))
        for (key, value) in pairs { line += " \(key)=\(LogText.word(LogText.cut("\(value)")))" }
    }

    private func appendJSON(
        _ event: LogEvent, _ pairs: [(key: String, value: Logger.MetadataValue)], to line: inout String
    ) {
        line += "{\"time\":\"\(Timestamp.now)\",\"level\":\"\(event.level.rawValue)\""
        line += ",\"logger\":\(LogText.quoted(label)),\"message\":\(LogText.quoted(LogText.cut("\(event.message)")))"
        for (key, value) in pairs {
            let name = ["time", "level", "logger", "message"].contains(key) ? key + "_" : key
            line += ",\(LogText.quoted(name)):\(LogText.quoted(LogText.cut("\(value)")))"
        }
        line += "}"
    }
}

/// Formats text that must stay on one line.
enum LogText {
    static func cut(_ text: String) -> String {
        guard text.utf8.count > LineLogHandler.longestValue else { return text }
        return String(decoding: text.utf8.prefix(LineLogHandler.longestValue), as: UTF8.self) + "…"
    }

    /// A value for the text format. It is in quotes if it is not a single word.
    static func word(_ text: String) -> String {
        let isWord =
            !text.isEmpty
            && text.unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && $0 != "=" && !PrintableText.isUnsafe($0) }
        return isWord ? text : quoted(text)
    }

    /// The text as a JSON string.
    static func quoted(_ text: String) -> String {
        var json = JSONWriter(capacity: text.utf8.count + 2)
        json.string(text)
        return PrintableText.escaped(json: String(decoding: json.finish(), as: UTF8.self))
    }

    /// Text in which line ends and characters that could control a terminal are escaped.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where PrintableText.isUnsafe(scalar): result += PrintableText.escapeSequence(scalar)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Writes whole lines to the standard error of the process.
enum StandardError {
    private static let lock = Mutex(())

    static func write(_ line: [UInt8]) {
        lock.withLock { _ in
            var rest = line[...]
            while !rest.isEmpty {
                // SAFETY: the buffer is valid during the call, which reads no more bytes than its count.
                let written = unsafe rest.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
                // The failure cannot be reported, because standard error is closed.
                if written < 0 && errno != EINTR { return }
                rest = rest.dropFirst(max(written, 0))
            }
        }
    }

    static func write(_ text: String) {
        write(Array((text + "\n").utf8))
    }
}
