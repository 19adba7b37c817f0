internal import StreamCore
internal import WireJSON

/// Writes records for people, in columns: time, position, type, key, sequence and content.
///
/// A column is as wide as its widest cell so far, so that no line has to wait for the last record. A batch is measured
/// before it is written (``measure(_:)``).
struct PrettyLines {
    /// The maximum number of characters in a line; nil for no limit. A longer line ends with `…`.
    let columns: Int?
    let isColoured: Bool
    let isMetaOnly: Bool
    let notation: BytesNotation
    /// Whether the topic's name precedes partition and offset.
    let namesTopics: Bool
    private var widths = [Int](repeating: 0, count: 5)

    private enum Column: Int, CaseIterable {
        case time, place, type, key, sequence

        /// The maximum width to which a cell widens the column.
        var limit: Int { self == .key || self == .type ? 40 : 80 }
    }

    init(columns: Int?, isColoured: Bool, isMetaOnly: Bool, notation: BytesNotation, namesTopics: Bool) {
        self.columns = columns
        self.isColoured = isColoured
        self.isMetaOnly = isMetaOnly
        self.notation = notation
        self.namesTopics = namesTopics
    }

    /// Widens the columns for a record that will be written.
    mutating func measure(_ record: borrowing some TailRecord) {
        let glance = EventGlance(record)
        for column in Column.allCases { widen(column, cell(column, record, glance)) }
    }

    private mutating func widen(_ column: Column, _ cell: [UInt8]) {
        widths[column.rawValue] = max(widths[column.rawValue], min(Self.width(cell[...]), column.limit))
    }

    mutating func write(_ record: borrowing some TailRecord, to out: inout [UInt8]) {
        let glance = EventGlance(record)
        var used = 0
        for column in Column.allCases {
            let cell = cell(column, record, glance)
            widen(column, cell)
            let padding = max(widths[column.rawValue] - Self.width(cell[...]), 0)
            let blanks = repeatElement(UInt8(ascii: " "), count: padding)
            if column == .sequence { out.append(contentsOf: blanks) }
            colour(column, glance, to: &out)
            out.append(contentsOf: cell)
            endColour(column, to: &out)
            if column != .sequence { out.append(contentsOf: blanks) }
            out.append("  ")
            used += Self.width(cell[...]) + padding + 2
        }
        appendCut(summary(record, glance), to: columns.map { max($0 - used, 10) }, &out)
        while out.last == UInt8(ascii: " ") { out.removeLast() }
        out.append(0x0A)
    }

    // MARK: cells

    private func cell(_ column: Column, _ record: borrowing some TailRecord, _ glance: EventGlance) -> [UInt8] {
        var text: [UInt8] = []
        switch column {
        case .time: text.append(Self.time(record.timestampMs))
        case .place:
            if namesTopics {
                text.append(record.topicPartition.topic)
                text.append(UInt8(ascii: "/"))
            }
            text.append(decimal: Int64(record.topicPartition.partition))
            text.append(UInt8(ascii: "/"))
            text.append(decimal: record.offset)
        case .type:
            if let type = glance.type { PrintableBytes.append(type.span, to: &text) } else { text.append("-") }
        case .key: append(record.key, to: &text)
        case .sequence:
            if let sequence = glance.sequence {
                text.append(UInt8(ascii: "#"))
                text.append(decimal: sequence)
            } else {
                text.append("-")
            }
        }
        return text
    }

    /// For example `2026-03-01 12:00:00.123`, in UTC.
    private static func time(_ timestampMs: Int64?) -> String {
        guard let timestampMs else { return "-" }
        return String(Timestamp.description(ofMilliseconds: timestampMs).dropLast(4)).replacing("T", with: " ")
    }

    private func append(_ bytes: Span<UInt8>?, to text: inout [UInt8]) {
        guard let bytes else { return text.append("null") }
        if bytes.count == 0 { return text.append("\"\"") }
        if PrintableBytes.isText(bytes) { return PrintableBytes.append(bytes, to: &text) }
        let shown = bytes.extracting(0..<min(bytes.count, PayloadSummary.limit))
        switch notation {
        case .hex:
            text.append("0x")
            PrintableBytes.appendHexadecimal(shown, to: &text)
        case .base64:
            text.append("base64:")
            PrintableBytes.appendBase64(shown, to: &text)
        }
        if shown.count < bytes.count { text.append("…") }
    }

    private func summary(_ record: borrowing some TailRecord, _ glance: EventGlance) -> [UInt8] {
        var text: [UInt8] = []
        if isMetaOnly {
            appendMeta(of: record, to: &text)
            return text
        }
        guard let value = record.value else { return Array("null".utf8) }
        if let payload = glance.payload, PayloadSummary.append(value.extracting(payload), to: &text) { return text }
        text = []
        if value.count > 0, PayloadSummary.append(value, to: &text) { return text }
        text = []
        append(value, to: &text)
        return text
    }

    /// Appends the size of the value, and the headers that are not shown in a column.
    private func appendMeta(of record: borrowing some TailRecord, to text: inout [UInt8]) {
        if let value = record.value {
            text.append(decimal: Int64(value.count))
            text.append(" B")
        } else {
            text.append("null")
        }
        var headers: [UInt8] = []
        record.forEachHeader { name, value in
            if EventGlance.rank(ofHeader: name) != nil { return }
            headers.append(UInt8(ascii: " "))
            PrintableBytes.append(name, to: &headers)
            headers.append(UInt8(ascii: "="))
            append(value, to: &headers)
        }
        text.append(contentsOf: headers)
    }

    // MARK: widths and colours

    /// The number of characters in the text.
    private static func width(_ text: ArraySlice<UInt8>) -> Int { text.count { $0 & 0xC0 != 0x80 } }

    private func appendCut(_ text: [UInt8], to limit: Int?, _ out: inout [UInt8]) {
        guard let limit, Self.width(text[...]) > limit else { return out.append(contentsOf: text) }
        var end = text.startIndex
        var count = 0
        while count < limit || text[end] & 0xC0 == 0x80 {
            if text[end] & 0xC0 != 0x80 { count += 1 }
            end += 1
        }
        // The mark replaces the last character.
        repeat { end -= 1 } while text[end] & 0xC0 == 0x80
        out.append(contentsOf: text[..<end])
        out.append("…")
    }

    private func colour(_ column: Column, _ glance: EventGlance, to out: inout [UInt8]) {
        guard isColoured else { return }
        switch column {
        case .time, .place, .sequence: out.append("\u{1B}[2m")
        case .type: out.append("\u{1B}[36m")
        case .key: out.append("\u{1B}[1m")
        }
    }

    private func endColour(_ column: Column, to out: inout [UInt8]) {
        if isColoured { out.append("\u{1B}[0m") }
    }
}
