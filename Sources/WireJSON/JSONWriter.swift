public import StreamCore

/// Writes JSON text into an array of bytes. ``reset()`` keeps the memory, so a loop that writes a hundred thousand
/// values a second allocates only once.
///
/// The writer writes commas and colons, but no white space. The caller must alternate keys and values and close all
/// containers.
public struct JSONWriter: ~Copyable {
    /// The written bytes, followed by free space.
    private var storage: [UInt8]
    private var count = 0
    private var needsComma = false

    /// - Parameter capacity: the number of bytes for which memory is reserved.
    public init(capacity: Int = 0) {
        storage = [UInt8](repeating: 0, count: capacity)
    }

    /// The bytes that have been written.
    public var span: Span<UInt8> {
        @_lifetime(borrow self) get { storage.span.extracting(0..<count) }
    }

    /// Returns the written bytes without a copy, and consumes the writer.
    public consuming func finish() -> [UInt8] {
        storage.removeLast(storage.count - count)
        return storage
    }

    /// Discards the written bytes but keeps the memory.
    public mutating func reset() {
        count = 0
        needsComma = false
    }

    // MARK: containers

    public mutating func beginObject() { open(UInt8(ascii: "{")) }
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    public mutating func beginArray() { open(UInt8(ascii: "[")) }
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// Writes a member's key unchanged.
    ///
    /// - Parameter name: a text without characters that must be escaped.
    @inline(__always)
    public mutating func key(_ name: StaticString) {
        // SAFETY: the bytes of a StaticString are never freed.
        key(unsafe UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount).span)
    }

    /// Writes a member's key that is known only at run time. Literals use the cheaper overload above.
    @_disfavoredOverload
    public mutating func key(_ name: String) {
        string(name)
        write(upTo: 1) { $0.put(UInt8(ascii: ":")) }
        needsComma = false
    }

    // MARK: values

    /// Writes a string.
    public mutating func string(_ text: String) {
        string(text.utf8Span.span)
    }

    /// Writes a string.
    ///
    /// - Parameter utf8: the text as UTF-8. The caller guarantees that; the writer does not check it.
    public mutating func string(_ utf8: Span<UInt8>) {
        let special = ByteScan.firstSpecial(in: utf8, from: 0)
        if special == utf8.count { quoted(utf8) } else { escaped(utf8, from: special) }
    }

    /// Writes an event id as a string in its canonical form.
    public mutating func string(_ id: EventID) {
        quoted(id.text.span)
    }

    /// Writes an instant as the string `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
    public mutating func string(_ timestamp: Timestamp) {
        quoted(timestamp.text.span)
    }

    /// Writes an integer.
    public mutating func number(_ value: some FixedWidthInteger & SignedInteger) {
        let wide = Int64(value)
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var first = 20
        var rest = wide.magnitude
        repeat {
            first &-= 1
            digits[first] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        if wide < 0 {
            first &-= 1
            digits[first] = UInt8(ascii: "-")
        }
        raw(digits.span.extracting(first..<20))
    }

    public mutating func bool(_ value: Bool) {
        if value { literal("true") } else { literal("false") }
    }

    public mutating func null() {
        literal("null")
    }

    /// Writes a JSON value unchanged. The caller guarantees that it is one valid value.
    public mutating func raw(_ json: Span<UInt8>) {
        let needsComma = needsComma
        write(upTo: json.count &+ 1) { pen in
            if needsComma { pen.put(UInt8(ascii: ",")) }
            pen.put(json)
        }
        self.needsComma = true
    }

    /// Writes a JSON value unchanged, for example the digits of a decimal number.
    public mutating func raw(_ json: String) {
        raw(json.utf8Span.span)
    }

    // MARK: parts

    private mutating func open(_ byte: UInt8) {
        let needsComma = needsComma
        write(upTo: 2) { pen in
            if needsComma { pen.put(UInt8(ascii: ",")) }
            pen.put(byte)
        }
        self.needsComma = false
    }

    private mutating func close(_ byte: UInt8) {
        write(upTo: 1) { $0.put(byte) }
        needsComma = true
    }

    @usableFromInline
    mutating func key(_ name: Span<UInt8>) {
        let needsComma = needsComma
        write(upTo: name.count &+ 4) { pen in
            if needsComma { pen.put(UInt8(ascii: ",")) }
            pen.put(UInt8(ascii: "\""))
            pen.put(name)
            pen.put(UInt8(ascii: "\""))
            pen.put(UInt8(ascii: ":"))
        }
        self.needsComma = false
    }

    private mutating func literal(_ text: StaticString) {
        // SAFETY: the bytes of a StaticString are never freed.
        raw(unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount).span)
    }

    /// Writes a string that contains no characters that must be escaped.
    private mutating func quoted(_ text: Span<UInt8>) {
        let needsComma = needsComma
        write(upTo: text.count &+ 3) { pen in
            if needsComma { pen.put(UInt8(ascii: ",")) }
            pen.put(UInt8(ascii: "\""))
            pen.put(text)
            pen.put(UInt8(ascii: "\""))
        }
        self.needsComma = true
    }

    /// Writes a string whose first byte that must be escaped is at `special`.
    private mutating func escaped(_ utf8: Span<UInt8>, from special: Int) {
        let needsComma = needsComma
        // An escaped byte has at most six bytes.
        write(upTo: utf8.count * 6 + 3) { pen in
            if needsComma { pen.put(UInt8(ascii: ",")) }
            pen.put(UInt8(ascii: "\""))
            var (start, special) = (0, special)
            while special < utf8.count {
                pen.put(utf8.extracting(start..<special))
                pen.put(JSONStringEscape.sequence(for: utf8[special]))
                start = special + 1
                special = ByteScan.firstSpecial(in: utf8, from: start)
            }
            pen.put(utf8.extracting(start..<utf8.count))
            pen.put(UInt8(ascii: "\""))
        }
        self.needsComma = true
    }

    // MARK: bytes

    /// Reserves `room` bytes. `body` must not write more than that.
    @inline(__always)
    private mutating func write(upTo room: Int, _ body: (inout Pen) -> Void) {
        if storage.count &- count < room { grow(by: room) }
        let start = count
        count = unsafe storage.withUnsafeMutableBufferPointer { buffer in
            // SAFETY: the bytes were reserved, and the pen does not outlive the closure.
            var pen = unsafe Pen(buffer, position: start)
            body(&pen)
            return pen.position
        }
    }

    private mutating func grow(by room: Int) {
        let size = max(count + room, 2 * storage.count, 256)
        storage.append(contentsOf: repeatElement(0, count: size - storage.count))
    }
}

/// Writes into memory that was reserved before. It does not check the bounds.
@safe private struct Pen: ~Copyable {
    private let room: UnsafeMutableBufferPointer<UInt8>
    private(set) var position: Int

    @inline(__always)
    init(_ room: UnsafeMutableBufferPointer<UInt8>, position: Int) {
        unsafe self.room = unsafe room
        self.position = position
    }

    // SAFETY of the following methods: the creator of the pen has reserved memory for everything that the pen writes.

    @inline(__always)
    mutating func put(_ byte: UInt8) {
        unsafe room[position] = byte
        position &+= 1
    }

    @inline(__always)
    mutating func put(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { source in
            position = unsafe room[position...].update(fromContentsOf: source)
        }
    }

    @inline(__always)
    mutating func put(_ text: StaticString) {
        // SAFETY: the bytes of a StaticString are never freed.
        put(unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount).span)
    }
}
