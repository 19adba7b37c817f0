internal import Postgres

/// Reads one-dimensional arrays in PostgreSQL's binary format (`array_send` in the server's `arrayfuncs.c`):
/// dimensions, a flag, the element's OID, size and lower bound of the dimension, then each element with its length, −1
/// for NULL.
enum BinaryArray {
    /// The elements' bytes; nil for NULL.
    static func elements(_ bytes: Span<UInt8>) -> [[UInt8]?] {
        func int32(_ offset: Int) -> Int {
            var value: UInt32 = 0
            for index in offset..<offset + 4 { value = value << 8 | UInt32(bytes[index]) }
            return Int(Int32(bitPattern: value))
        }
        guard bytes.count >= 20, int32(0) == 1 else { return [] }
        let count = int32(12)
        var result: [[UInt8]?] = []
        result.reserveCapacity(count)
        var position = 20
        for _ in 0..<count {
            let length = int32(position)
            position += 4
            if length < 0 {
                result.append(nil)
            } else {
                result.append((position..<position + length).map { bytes[$0] })
                position += length
            }
        }
        return result
    }
}

extension QueryResult {
    /// The value of a `bytea` column; nil for NULL.
    func optionalBytes(_ row: Int, _ column: Int) -> [UInt8]? {
        if isNull(row, column) { return nil }
        let bytes = bytes(row, column)
        return bytes.indices.map { bytes[$0] }
    }
}
