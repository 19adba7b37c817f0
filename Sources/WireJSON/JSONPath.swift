/// Naming a place in JSON text for a human, as `$.payload.items[2].unitPrice`.
public enum JSONPath {
    /// The path of the innermost value of `bytes` that holds the byte at `offset`, as far as the text is valid up to
    /// there.
    ///
    /// Walks the text from its start: for errors, not for every record.
    public static func locate(_ offset: Int, in bytes: Span<UInt8>) -> String {
        var path = "$"
        guard var reader = try? JSONReader(bytes) else { return path }
        while let component = try? descend(&reader, to: offset) { path += component }
        return path
    }

    /// Moves the cursor to the member of the value at the cursor that holds `offset`.
    ///
    /// - Returns: how the path goes on; nil when the value is a scalar or none of its members holds it.
    private static func descend(_ reader: inout JSONReader, to offset: Int) throws(JSONError) -> String? {
        switch try reader.peek() {
        case .object:
            try reader.enterObject()
            while let key = try reader.nextKey() {
                if offset < key.range.lowerBound - 1 { return nil }
                if holds(reader, offset) { return "." + ((try? reader.string(of: key)) ?? "?") }
                try reader.skipValue()
            }
            return nil
        case .array:
            try reader.enterArray()
            var index = 0
            while try reader.nextElement() {
                if offset < reader.offset { return nil }
                if holds(reader, offset) { return "[\(index)]" }
                try reader.skipValue()
                index += 1
            }
            return nil
        case .string, .number, .boolean, .null: return nil
        }
    }

    /// Whether the value that comes next holds `offset`, or breaks off before its end, so that nothing behind it can.
    private static func holds(_ reader: borrowing JSONReader, _ offset: Int) -> Bool {
        var probe = reader.reader(at: reader.offset)
        guard let range = try? probe.skipValue() else { return true }
        return offset < range.upperBound
    }
}
