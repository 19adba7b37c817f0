internal import WireJSON

/// Writes JSON as one short line: `orderId=ord-1 amount=5.00 items=[3]`.
enum PayloadSummary {
    /// The length of a line, in bytes, from which further members are skipped.
    static let limit = 1_024
    /// The maximum depth of nested objects that are shown.
    private static let depth = 3

    /// - Returns: false if the bytes are not JSON. Some output may have been written.
    static func append(_ json: Span<UInt8>, to out: inout [UInt8]) -> Bool {
        let start = out.count
        do throws(JSONError) {
            var reader = try JSONReader(json)
            if try reader.peek() == .object {
                try members(&reader, depth, start, to: &out)
            } else {
                try value(&reader, depth, start, to: &out)
            }
            return true
        } catch {
            return false
        }
    }

    private static func members(
        _ reader: inout JSONReader, _ depth: Int, _ start: Int, to out: inout [UInt8]
    ) throws(JSONError) {
        try reader.enterObject()
        var isFirst = true
        while let key = try reader.nextKey() {
            if out.count - start > limit {
                try reader.skipValue()
                continue
            }
            if !isFirst { out.append(UInt8(ascii: " ")) }
            isFirst = false
            PrintableBytes.append(reader.span(of: key.range), to: &out)
            out.append(UInt8(ascii: "="))
            try value(&reader, depth, start, to: &out)
        }
    }

    private static func value(
        _ reader: inout JSONReader, _ depth: Int, _ start: Int, to out: inout [UInt8]
    ) throws(JSONError) {
        switch try reader.peek() {
        case .object where depth > 0:
            out.append(UInt8(ascii: "{"))
            try members(&reader, depth - 1, start, to: &out)
            out.append(UInt8(ascii: "}"))
        case .object:
            try reader.skipValue()
            out.append("{…}")
        case .array:
            var count: Int64 = 0
            try reader.enterArray()
            while try reader.nextElement() {
                try reader.skipValue()
                count += 1
            }
            out.append(UInt8(ascii: "["))
            out.append(decimal: count)
            out.append(UInt8(ascii: "]"))
        case .string:
            let text = try reader.readText()
            let span = reader.span(of: text.range)
            let isPlain = span.count > 0 && !ByteSearch.contains(span, [UInt8(ascii: " ")].span)
            if !isPlain { out.append(UInt8(ascii: "\"")) }
            PrintableBytes.append(span, to: &out)
            if !isPlain { out.append(UInt8(ascii: "\"")) }
        case .number: out.append(reader.span(of: try reader.readNumber()))
        case .boolean: out.append(try reader.readBool() ? "true" : "false")
        case .null:
            _ = try reader.readNull()
            out.append("null")
        }
    }
}
