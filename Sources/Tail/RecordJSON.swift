internal import StreamCore
internal import WireJSON

/// The notation of bytes that are not UTF-8.
public enum BytesNotation: Sendable {
    case base64
    /// Hexadecimal digits.
    case hex
}

/// Writes a record as a JSON object on one line.
///
/// If the record's value is JSON, it becomes the member `value`. Other text becomes `valueText`, and other bytes become
/// `valueBase64` or `valueHex`. For a tombstone `value` is null, and `tombstone` is true.
struct RecordJSON: ~Copyable {
    let notation: BytesNotation
    /// Whether to write the value's size instead of the value.
    let isMetaOnly: Bool
    /// Whether a terminal shows the output, so that characters that could control it must be escaped.
    let isPrintable: Bool
    private var writer = JSONWriter(capacity: 4_096)
    private var scratch: [UInt8] = []

    init(notation: BytesNotation, isMetaOnly: Bool, isPrintable: Bool) {
        self.notation = notation
        self.isMetaOnly = isMetaOnly
        self.isPrintable = isPrintable
    }

    mutating func write(_ record: borrowing some TailRecord, to out: inout [UInt8]) {
        writer.reset()
        writer.beginObject()
        writer.key("topic")
        writer.string(record.topicPartition.topic)
        writer.key("partition")
        writer.number(record.topicPartition.partition)
        writer.key("offset")
        writer.number(record.offset)
        writer.key("timestamp")
        writeTime(record.timestampMs)
        writeKey(record.key)
        writeHeaders(of: record)
        if isMetaOnly { writeSize(of: record.value) } else { writeValue(record.value) }
        writer.endObject()
        if isPrintable {
            // SAFETY: the buffer does not leave the closure, and the string copies it.
            let text = unsafe writer.span.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
            out.append(PrintableText.escaped(json: text))
        } else {
            out.append(writer.span)
        }
    }

    private mutating func writeTime(_ timestampMs: Int64?) {
        guard let timestampMs else { return writer.null() }
        // These are the years with four digits.
        if (0..<253_402_300_800_000).contains(timestampMs) {
            writer.string(Timestamp(microseconds: timestampMs * 1_000))
        } else {
            writer.string(Timestamp.description(ofMilliseconds: timestampMs))
        }
    }

    private mutating func writeKey(_ key: Span<UInt8>?) {
        if let key, !PrintableBytes.isText(key) {
            if notation == .hex { writer.key("keyHex") } else { writer.key("keyBase64") }
            writeBytes(key)
        } else {
            writer.key("key")
            if let key { writer.string(key) } else { writer.null() }
        }
    }

    private mutating func writeHeaders(of record: borrowing some TailRecord) {
        writer.key("headers")
        writer.beginArray()
        let copied = CopiedHeaders(of: record)
        for header in copied.headers {
            writer.beginObject()
            if PrintableBytes.isText(header.name.span) {
                writer.key("name")
                writer.string(header.name.span)
            } else {
                if notation == .hex { writer.key("nameHex") } else { writer.key("nameBase64") }
                writeBytes(header.name.span)
            }
            if let value = header.value, !PrintableBytes.isText(value.span) {
                if notation == .hex { writer.key("valueHex") } else { writer.key("valueBase64") }
                writeBytes(value.span)
            } else {
                writer.key("value")
                if let value = header.value { writer.string(value.span) } else { writer.null() }
            }
            writer.endObject()
        }
        writer.endArray()
    }

    private mutating func writeSize(of value: Span<UInt8>?) {
        writer.key("valueSize")
        if let value { writer.number(Int64(value.count)) } else { writer.null() }
    }

    private mutating func writeValue(_ value: Span<UInt8>?) {
        guard let value else {
            writer.key("value")
            writer.null()
            writer.key("tombstone")
            return writer.bool(true)
        }
        if let range = Self.rangeOfJSON(value) {
            writer.key("value")
            writeVerbatim(value.extracting(range))
        } else if PrintableBytes.isText(value) {
            writer.key("valueText")
            writer.string(value)
        } else {
            if notation == .hex { writer.key("valueHex") } else { writer.key("valueBase64") }
            writeBytes(value)
        }
    }

    /// The range of the value if the bytes are one JSON value; otherwise nil.
    private static func rangeOfJSON(_ bytes: Span<UInt8>) -> Range<Int>? {
        do throws(JSONError) {
            var reader = try JSONReader(bytes)
            let range = try reader.skipValue()
            try reader.finish()
            return range
        } catch {
            return nil
        }
    }

    /// Writes JSON as one line. Line ends can only occur between its tokens, so they are removed.
    private mutating func writeVerbatim(_ json: Span<UInt8>) {
        var isOneLine = true
        for index in json.indices where json[index] == 0x0A || json[index] == 0x0D { isOneLine = false }
        if isOneLine { return writer.raw(json) }
        scratch.removeAll(keepingCapacity: true)
        for index in json.indices where json[index] != 0x0A && json[index] != 0x0D { scratch.append(json[index]) }
        let line = scratch
        writer.raw(line.span)
    }

    private mutating func writeBytes(_ bytes: Span<UInt8>) {
        scratch.removeAll(keepingCapacity: true)
        switch notation {
        case .hex: PrintableBytes.appendHexadecimal(bytes, to: &scratch)
        case .base64: PrintableBytes.appendBase64(bytes, to: &scratch)
        }
        let text = scratch
        writer.string(text.span)
    }
}

/// Copies of a record's headers.
private struct CopiedHeaders {
    private(set) var headers: [CopiedRecord.Header] = []

    init(of record: borrowing some TailRecord) {
        var headers: [CopiedRecord.Header] = []
        record.forEachHeader { name, value in
            headers.append(CopiedRecord.Header(name: [UInt8](copying: name), value: [UInt8](copying: value)))
        }
        self.headers = headers
    }
}
