/// Describes a place in JSON text to people, for example `$.payload.items[2].unitPrice`.
public enum JSONPath {
    /// The path of the innermost value of `bytes` that contains the byte at `offset`. If the text before that byte is
    /// invalid, the path ends there.
    ///
    /// It reads the text from its start, so use it for errors only, not for every record.
    public static func locate(_ offset: Int, in bytes: Span<UInt8>) -> String {
        var path = "$"
        guard var reader = try? JSONReader(bytes) else { return path }
        while let component = try? descend(&reader, to: offset) { path += component }
        return path
    }

    /// Moves the cursor to the member of the current value that contains `offset`.
    ///
    /// - Returns: the next component of the path; nil if the value is a scalar or no member contains the offset.
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

    /// Whether the next value contains `offset`. A malformed value counts as containing it, because nothing after it
    /// can.
    private static func holds(_ reader: borrowing JSONReader, _ offset: Int) -> Bool {
        var probe = reader.reader(at: reader.offset)
        guard let range = try? probe.skipValue() else { return true }
        return offset < range.upperBound
    }
}
