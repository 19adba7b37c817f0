internal import Foundation
internal import StreamCore

extension [UInt8] {
    /// Appends the bytes of a span.
    @inline(__always)
    mutating func append(_ bytes: Span<UInt8>) {
        // SAFETY: the buffer does not leave the closure, and its bytes are copied.
        unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }

    @inline(__always)
    mutating func append(_ text: String) { append(contentsOf: text.utf8) }

    /// Appends an integer as decimal digits in ASCII.
    mutating func append(decimal value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        let start = count
        var rest = value.magnitude
        repeat {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        self[start...].reverse()
    }

    /// - Returns: nil if `bytes` is nil.
    init?(copying bytes: Span<UInt8>?) {
        guard let bytes else { return nil }
        self.init(copying: bytes)
    }
}

/// Searches for bytes.
enum ByteSearch {
    /// Whether `text` contains `part`. An empty part is contained in every text.
    static func contains(_ text: Span<UInt8>, _ part: Span<UInt8>) -> Bool {
        guard let first = part.count > 0 ? part[0] : nil else { return true }
        // SAFETY: both buffers are valid during the closure, and all accesses are within their bounds.
        return unsafe text.withUnsafeBufferPointer { text in
            unsafe part.withUnsafeBufferPointer { part in
                guard var start = text.baseAddress, let wanted = part.baseAddress else { return false }
                var rest = text.count
                while rest >= part.count {
                    guard let found = unsafe memchr(start, Int32(first), rest - part.count + 1) else { return false }
                    let place = unsafe UnsafePointer(found.assumingMemoryBound(to: UInt8.self))
                    if unsafe memcmp(place, wanted, part.count) == 0 { return true }
                    unsafe rest -= place + 1 - start
                    unsafe start = place + 1
                }
                return false
            }
        }
    }
}
