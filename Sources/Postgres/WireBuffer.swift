/// Bytes in PostgreSQL's binary formats: integers big-endian, one buffer for all.
struct WireBuffer: Sendable, Hashable {
    private(set) var bytes: [UInt8]

    init() {
        bytes = []
    }

    var count: Int { bytes.count }

    mutating func reserve(_ capacity: Int) {
        bytes.reserveCapacity(capacity)
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
    }

    @inline(__always)
    mutating func append<Value: FixedWidthInteger>(_ value: Value) {
        // SAFETY: the bytes of an integer on the stack, copied before the closure returns.
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    /// A length and a value of that length, in one step.
    @inline(__always)
    mutating func append<Value: FixedWidthInteger>(sized value: Value) {
        let length = Int32(MemoryLayout<Value>.size)
        // SAFETY: as above; a tuple of integers has no reference in it. Only its defined bytes are read.
        unsafe withUnsafeBytes(of: length.bigEndian) { unsafe bytes.append(contentsOf: $0) }
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    mutating func append(_ span: Span<UInt8>) {
        // SAFETY: the span is valid for the call, and its bytes are copied in it.
        unsafe span.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
    }

    mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    mutating func append(_ other: WireBuffer) {
        bytes.append(contentsOf: other.bytes)
    }

    /// Writes `value` over the four bytes at `offset`.
    mutating func overwrite(_ value: Int32, at offset: Int) {
        let word = UInt32(bitPattern: value)
        for index in 0..<4 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * index))
        }
    }

    /// Writes `value` over the two bytes at `offset`.
    mutating func overwrite(_ value: Int16, at offset: Int) {
        let word = UInt16(bitPattern: value)
        bytes[offset] = UInt8(truncatingIfNeeded: word >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: word)
    }

    mutating func truncate(to count: Int) {
        bytes.removeLast(bytes.count - count)
    }
}
