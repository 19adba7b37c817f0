public import StreamCore

/// Writes JSON text into an array of bytes; ``reset()`` keeps its memory, so that a loop that writes a hundred thousand
/// values a second allocates once.
///
/// The writer sets commas and colons; that keys and values alternate, and that containers are closed, is the caller's
/// part. It writes no white space of its own.
public struct JSONWriter: ~Copyable {
    /// What was written, and room behind it.
    private var storage: [UInt8]
    private var count = 0
    private var needsComma = false

    /// - Parameter capacity: how many bytes there is room for before memory is asked for again.
    public init(capacity: Int = 0) {
        storage = [UInt8](repeating: 0, count: capacity)
    }

    /// What was written so far.
    public var span: Span<UInt8> {
        @_lifetime(borrow self) get { storage.span.extracting(0..<count) }
    }

    /// Ends the writing and hands the bytes out, without a copy.
    public consuming func finish() -> [UInt8] {
        storage.removeLast(storage.count - count)
        return storage
    }

    /// Starts anew in the same memory.
    public mutating func reset() {
        count = 0
        needsComma = false
    }

    // MARK: containers

    public mutating func beginObject() { open(UInt8(ascii: "{")) }
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    public mutating func beginArray() { open(UInt8(ascii: "[")) }
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// Writes a member's key, verbatim.
    ///
    /// - Parameter name: text that needs no escape.
    @inline(__always)
    public mutating func key(_ name: StaticString) {
        // SAFETY: a StaticString's bytes live for ever.
        key(unsafe UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount).span)
    }

    /// Writes a member's key that is known at run time only; a literal takes the cheaper way above.
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
    /// - Parameter utf8: the text's bytes. That they are UTF-8 is the caller's promise; they are not looked at for it.
    public mutating func string(_ utf8: Span<UInt8>) {
        let special = ByteScan.firstSpecial(in: utf8, from: 0)
        if special == utf8.count { quoted(utf8) } else { escaped(utf8, from: special) }
    }

    /// Writes an event's identity as the string of its canonical text.
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

    /// Writes a value that is JSON already, verbatim. That it is one valid value is the caller's promise.
    public mutating func raw(_ json: Span<UInt8>) {
        let needsComma = needsComma
        write(upTo: json.count &+ 1) { pen in
            if needsComma { pen.put(UInt8(ascii: ",")) }
            pen.put(json)
        }
        self.needsComma = true
    }

    /// Writes a value that is JSON already, such as the digits of a decimal, verbatim.
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
        // SAFETY: a StaticString's bytes live for ever.
        raw(unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount).span)
    }

    /// Writes a string that needs no escape.
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

    /// Writes a string whose byte at `special` is the first that needs an escape.
    private mutating func escaped(_ utf8: Span<UInt8>, from special: Int) {
        let needsComma = needsComma
        // A byte becomes six at most.
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

    /// Makes room for so many bytes, and lets `body` write no more than those.
    @inline(__always)
    private mutating func write(upTo room: Int, _ body: (inout Pen) -> Void) {
        if storage.count &- count < room { grow(by: room) }
        let start = count
        count = unsafe storage.withUnsafeMutableBufferPointer { buffer in
            // SAFETY: the room was made, and the pen does not outlive the closure.
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

/// Writes into room that was made before: it does not look whether there is some.
@safe private struct Pen: ~Copyable {
    private let room: UnsafeMutableBufferPointer<UInt8>
    private(set) var position: Int

    @inline(__always)
    init(_ room: UnsafeMutableBufferPointer<UInt8>, position: Int) {
        unsafe self.room = unsafe room
        self.position = position
    }

    // SAFETY, of all that follows: whoever made the pen made room for all that it is told to write.

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
        // SAFETY: a StaticString's bytes live for ever.
        put(unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount).span)
    }
}
