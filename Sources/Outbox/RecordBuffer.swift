internal import StreamCore
internal import WireJSON

/// A reusable buffer for the bytes of a record. Writing checks and allocates once a value, not once a byte, because
/// half of the relay's own processor time is spent here.
///
/// ``start(room:)`` allocates the memory of a record. Writing beyond it traps.
@safe
struct RecordBuffer: ~Copyable {
    // SAFETY: allocated here with `capacity` bytes, freed in `deinit`; the first `count` bytes are initialized, and
    // each write checks that it ends within `capacity`.
    private var start: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    /// The number of bytes written.
    private(set) var count = 0

    /// Maximum capacity that is kept for the next record, in bytes.
    private static let keptCapacity = 64 << 10

    init() {
        capacity = 4_096
        unsafe start = .allocate(capacity: capacity)
    }

    deinit {
        unsafe start.deallocate()
    }

    /// The bytes written.
    var span: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get {
            // SAFETY: the span borrows self, so nothing is written or freed while it lives.
            let bytes = unsafe UnsafeBufferPointer(start: start, count: count)
            return unsafe _overrideLifetime(Span(_unsafeElements: bytes), borrowing: self)
        }
    }

    /// Clears the buffer and provides memory for `room` bytes.
    mutating func start(room: Int) {
        count = 0
        guard room > capacity || capacity > Self.keptCapacity else { return }
        unsafe start.deallocate()
        capacity = max(room, 4_096)
        unsafe start = .allocate(capacity: capacity)
    }

    @inline(__always)
    private mutating func claim(_ size: Int) -> UnsafeMutablePointer<UInt8> {
        precondition(size <= capacity - count, "a record's size was estimated too low")
        defer { count &+= size }
        return unsafe start + count
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        let size = text.utf8CodeUnitCount
        unsafe claim(size).update(from: text.utf8Start, count: size)
    }

    @inline(__always)
    mutating func append(_ bytes: Span<UInt8>) {
        let size = bytes.count
        let target = unsafe claim(size)
        unsafe bytes.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { unsafe target.update(from: base, count: size) }
        }
    }

    /// Appends the canonical text of a UUID, 36 bytes.
    mutating func append(_ id: EventID) {
        let (first, second) = (Self.hexadecimal(id.high >> 32), Self.hexadecimal(id.high & 0xFFFF_FFFF))
        let (third, fourth) = (Self.hexadecimal(id.low >> 32), Self.hexadecimal(id.low & 0xFFFF_FFFF))
        let dash = UInt8(ascii: "-")
        let target = UnsafeMutableRawPointer(unsafe claim(36))
        unsafe target.storeBytes(of: first.bigEndian, as: UInt64.self)
        unsafe target.storeBytes(of: dash, toByteOffset: 8, as: UInt8.self)
        unsafe target.storeBytes(
            of: UInt32(truncatingIfNeeded: second >> 32).bigEndian, toByteOffset: 9, as: UInt32.self)
        unsafe target.storeBytes(of: dash, toByteOffset: 13, as: UInt8.self)
        unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: second).bigEndian, toByteOffset: 14, as: UInt32.self)
        unsafe target.storeBytes(of: dash, toByteOffset: 18, as: UInt8.self)
        unsafe target.storeBytes(
            of: UInt32(truncatingIfNeeded: third >> 32).bigEndian, toByteOffset: 19, as: UInt32.self)
        unsafe target.storeBytes(of: dash, toByteOffset: 23, as: UInt8.self)
        unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: third).bigEndian, toByteOffset: 24, as: UInt32.self)
        unsafe target.storeBytes(of: fourth.bigEndian, toByteOffset: 28, as: UInt64.self)
    }

    /// The eight lower-case digits of a 32-bit number, with the first digit in the highest byte. It distributes the
    /// nibbles over the bytes by halving, and then converts all to ASCII at once.
    private static func hexadecimal(_ word: UInt64) -> UInt64 {
        var digits = (word | word &<< 16) & 0x0000_FFFF_0000_FFFF
        digits = (digits | digits &<< 8) & 0x00FF_00FF_00FF_00FF
        digits = (digits | digits &<< 4) & 0x0F0F_0F0F_0F0F_0F0F
        let letters = ((digits &+ 0x0606_0606_0606_0606) &>> 4) & 0x0101_0101_0101_0101
        return digits &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
    }

    /// Appends decimal digits, at most 20 bytes.
    mutating func append(_ value: Int64) {
        var rest = value.magnitude
        var size = value < 0 ? 2 : 1
        var probe = rest
        while probe >= 10 {
            probe /= 10
            size &+= 1
        }
        let target = unsafe claim(size)
        var offset = size
        repeat {
            offset &-= 1
            unsafe target[offset] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        if value < 0 { unsafe target[0] = UInt8(ascii: "-") }
    }

    /// Appends six digits.
    mutating func append(fraction microseconds: Int64) {
        let target = unsafe claim(6)
        var rest = microseconds
        for offset in (0..<6).reversed() {
            unsafe target[offset] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }

    /// Appends a JSON string with quotes, escaped according to RFC 8259 §7. It needs at most six bytes for each byte of
    /// text, plus two.
    mutating func append(json text: Span<UInt8>) {
        append("\"")
        var start = 0
        var special = JSONStringEscape.firstSpecial(in: text, from: 0)
        while special < text.count {
            append(text.extracting(start..<special))
            append(JSONStringEscape.sequence(for: text[special]))
            start = special + 1
            special = JSONStringEscape.firstSpecial(in: text, from: start)
        }
        append(text.extracting(start..<text.count))
        append("\"")
    }
}
