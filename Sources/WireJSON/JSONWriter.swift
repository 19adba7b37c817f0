public import StreamCore

/// Appends JSON text to an array of bytes that the caller can take, hand on and give back, so that a loop that writes
/// a hundred thousand values a second allocates once.
///
/// The writer sets commas and colons; that keys and values alternate, and that containers are closed, is the caller's
/// part. It writes no white space of its own.
public struct JSONWriter: ~Copyable {
    /// What was written so far.
    public private(set) var bytes: [UInt8]
    private var needsComma = false

    /// - Parameter reusing: an array whose memory is taken over; its content is dropped.
    public init(reusing bytes: consuming [UInt8] = []) {
        self.bytes = bytes
        self.bytes.removeAll(keepingCapacity: true)
    }

    /// Ends the writing and hands the bytes out, without a copy.
    public consuming func finish() -> [UInt8] {
        bytes
    }

    /// Starts anew in the same memory.
    public mutating func reset() {
        bytes.removeAll(keepingCapacity: true)
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
    public mutating func key(_ name: StaticString) {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        bytes.append(UInt8(ascii: "\""))
        // SAFETY: a StaticString's bytes live for ever.
        unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Writes a member's key that is known at run time only; a literal takes the cheaper way above.
    @_disfavoredOverload
    public mutating func key(_ name: String) {
        string(name)
        bytes.append(UInt8(ascii: ":"))
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
        beginValue()
        bytes.append(UInt8(ascii: "\""))
        var start = 0
        while true {
            let special = ByteScan.firstSpecial(in: utf8, from: start)
            append(utf8.extracting(start..<special))
            if special == utf8.count { break }
            appendEscape(of: utf8[special])
            start = special + 1
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Writes an event's identity as the string of its canonical text.
    public mutating func string(_ id: EventID) {
        beginValue()
        bytes.append(UInt8(ascii: "\""))
        id.appendText(to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Writes an instant as the string `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
    public mutating func string(_ timestamp: Timestamp) {
        beginValue()
        bytes.append(UInt8(ascii: "\""))
        timestamp.appendText(to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Writes an integer.
    public mutating func number(_ value: some FixedWidthInteger & SignedInteger) {
        beginValue()
        let wide = Int64(value)
        if wide < 0 { bytes.append(UInt8(ascii: "-")) }
        appendDigits(wide.magnitude)
    }

    public mutating func bool(_ value: Bool) {
        beginValue()
        append(value ? "true" : "false")
    }

    public mutating func null() {
        beginValue()
        append("null")
    }

    /// Writes a value that is JSON already, verbatim. That it is one valid value is the caller's promise.
    public mutating func raw(_ json: Span<UInt8>) {
        beginValue()
        append(json)
    }

    /// Writes a value that is JSON already, such as the digits of a decimal, verbatim.
    public mutating func raw(_ json: String) {
        raw(json.utf8Span.span)
    }

    // MARK: bytes

    private mutating func open(_ byte: UInt8) {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        bytes.append(byte)
        needsComma = false
    }

    private mutating func close(_ byte: UInt8) {
        bytes.append(byte)
        needsComma = true
    }

    @inline(__always)
    private mutating func beginValue() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    @inline(__always)
    private mutating func append(_ span: Span<UInt8>) {
        // SAFETY: the pointer does not leave the closure, and `append` copies.
        unsafe span.withUnsafeBufferPointer { buffer in
            unsafe bytes.append(contentsOf: buffer)
        }
    }

    private mutating func append(_ text: StaticString) {
        // SAFETY: a StaticString's bytes live for ever.
        unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func appendDigits(_ value: UInt64) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }

    private mutating func appendEscape(of byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        default:
            append("\\u00")
            bytes.append(UInt8(ascii: "0") + byte >> 4)
            let low = byte & 0xF
            bytes.append(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
        }
    }
}
