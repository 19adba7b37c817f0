public import StreamCore

/// The element type of an ``ArrayColumn``.
public protocol ArrayElement: Sendable {
    /// The PostgreSQL type of an element.
    static var elementType: PostgresType { get }
    /// The PostgreSQL type of an array of such elements.
    static var arrayType: PostgresType { get }
}

/// A one-dimensional array of nullable values in PostgreSQL's binary format, for
/// `INSERT … SELECT * FROM unnest($1, $2, …)`.
///
/// All values are written into one growing buffer, so a value needs no allocation of its own. The format is that of
/// `array_recv` in the server's `arrayfuncs.c`: the number of dimensions, a flag for NULLs, the OID of the element
/// type, the size and the lower bound of the dimension, and then each element with its length (−1 for NULL).
public struct ArrayColumn<Element: ArrayElement>: Sendable {
    private var wire: WireBuffer
    /// The number of elements.
    public private(set) var count = 0
    private var hasNull = false

    private static var headerSize: Int { 20 }

    /// - Parameter capacity: the expected size of all values in bytes, for which memory is reserved.
    public init(reservingBytes capacity: Int = 0) {
        wire = WireBuffer(capacity: Self.headerSize + capacity)
        wire.append(Int32(1))
        wire.append(Int32(0))
        wire.append(Element.elementType.oid)
        wire.append(Int32(0))
        wire.append(Int32(1))
    }

    /// Appends NULL.
    public mutating func appendNull() {
        wire.append(Int32(-1))
        hasNull = true
        count += 1
    }

    /// Removes all elements but keeps the memory for the next batch.
    public mutating func removeAll() {
        wire.truncate(to: Self.headerSize)
        hasNull = false
        count = 0
    }

    /// Writes the array. The header is completed here because it contains the number of elements.
    func write(to buffer: inout WireBuffer) {
        let start = buffer.count
        buffer.append(wire)
        buffer.overwrite(Int32(hasNull ? 1 : 0), at: start + 4)
        buffer.overwrite(Int32(truncatingIfNeeded: count), at: start + 12)
    }

    @inline(__always)
    fileprivate mutating func append(fixed value: some FixedWidthInteger & BitwiseCopyable) {
        wire.append(sized: value)
        count += 1
    }

    @inline(__always)
    fileprivate mutating func append(span: Span<UInt8>) {
        wire.append(Int32(span.count))
        wire.append(span)
        count += 1
    }

    @inline(__always)
    fileprivate mutating func append(string: String) {
        wire.append(Int32(string.utf8.count))
        wire.append(string)
        count += 1
    }

    /// Appends an element that `encode` writes. If `encode` throws, the array stays unchanged.
    @inline(__always)
    fileprivate mutating func append<Failure: Error>(
        _ encode: (inout WireBuffer) throws(Failure) -> Void
    ) throws(Failure) {
        let start = wire.count
        wire.append(Int32(0))
        do {
            try encode(&wire)
        } catch {
            wire.truncate(to: start)
            throw error
        }
        wire.overwrite(Int32(wire.count - start - 4), at: start)
        count += 1
    }
}

// MARK: - Element types

/// `bigint[]`.
public typealias Int64Array = ArrayColumn<Int64Element>
/// `integer[]`.
public typealias Int32Array = ArrayColumn<Int32Element>
/// `smallint[]`.
public typealias Int16Array = ArrayColumn<Int16Element>
/// `boolean[]`.
public typealias BoolArray = ArrayColumn<BoolElement>
/// `text[]`.
public typealias TextArray = ArrayColumn<TextElement>
/// `uuid[]`.
public typealias UUIDArray = ArrayColumn<UUIDElement>
/// `timestamptz[]`.
public typealias TimestampArray = ArrayColumn<TimestampElement>
/// `date[]`.
public typealias DateArray = ArrayColumn<DateElement>
/// `numeric[]`.
public typealias NumericArray = ArrayColumn<NumericElement>
/// `json[]`.
public typealias JSONArray = ArrayColumn<JSONElement>
/// `jsonb[]`.
public typealias JSONBArray = ArrayColumn<JSONBElement>
/// `bytea[]`.
public typealias ByteaArray = ArrayColumn<ByteaElement>

/// The elements of ``Int64Array``.
public enum Int64Element: ArrayElement {
    public static var elementType: PostgresType { .int8 }
    public static var arrayType: PostgresType { .int8Array }
}
/// The elements of ``Int32Array``.
public enum Int32Element: ArrayElement {
    public static var elementType: PostgresType { .int4 }
    public static var arrayType: PostgresType { .int4Array }
}
/// The elements of ``Int16Array``.
public enum Int16Element: ArrayElement {
    public static var elementType: PostgresType { .int2 }
    public static var arrayType: PostgresType { .int2Array }
}
/// The elements of ``BoolArray``.
public enum BoolElement: ArrayElement {
    public static var elementType: PostgresType { .bool }
    public static var arrayType: PostgresType { .boolArray }
}
/// The elements of ``TextArray``.
public enum TextElement: ArrayElement {
    public static var elementType: PostgresType { .text }
    public static var arrayType: PostgresType { .textArray }
}
/// The elements of ``UUIDArray``.
public enum UUIDElement: ArrayElement {
    public static var elementType: PostgresType { .uuid }
    public static var arrayType: PostgresType { .uuidArray }
}
/// The elements of ``TimestampArray``.
public enum TimestampElement: ArrayElement {
    public static var elementType: PostgresType { .timestamptz }
    public static var arrayType: PostgresType { .timestamptzArray }
}
/// The elements of ``DateArray``.
public enum DateElement: ArrayElement {
    public static var elementType: PostgresType { .date }
    public static var arrayType: PostgresType { .dateArray }
}
/// The elements of ``NumericArray``.
public enum NumericElement: ArrayElement {
    public static var elementType: PostgresType { .numeric }
    public static var arrayType: PostgresType { .numericArray }
}
/// The elements of ``JSONArray``.
public enum JSONElement: ArrayElement {
    public static var elementType: PostgresType { .json }
    public static var arrayType: PostgresType { .jsonArray }
}
/// The elements of ``JSONBArray``.
public enum JSONBElement: ArrayElement {
    public static var elementType: PostgresType { .jsonb }
    public static var arrayType: PostgresType { .jsonbArray }
}
/// The elements of ``ByteaArray``.
public enum ByteaElement: ArrayElement {
    public static var elementType: PostgresType { .bytea }
    public static var arrayType: PostgresType { .byteaArray }
}

// MARK: - Appending

extension ArrayColumn where Element == Int64Element {
    public mutating func append(_ value: Int64) { append(fixed: value) }
    public mutating func append(_ value: Int64?) {
        if let value { append(fixed: value) } else { appendNull() }
    }
}

extension ArrayColumn where Element == Int32Element {
    public mutating func append(_ value: Int32) { append(fixed: value) }
    public mutating func append(_ value: Int32?) {
        if let value { append(fixed: value) } else { appendNull() }
    }
}

extension ArrayColumn where Element == Int16Element {
    public mutating func append(_ value: Int16) { append(fixed: value) }
    public mutating func append(_ value: Int16?) {
        if let value { append(fixed: value) } else { appendNull() }
    }
}

extension ArrayColumn where Element == BoolElement {
    public mutating func append(_ value: Bool) { append(fixed: UInt8(value ? 1 : 0)) }
    public mutating func append(_ value: Bool?) {
        if let value { append(fixed: UInt8(value ? 1 : 0)) } else { appendNull() }
    }
}

extension ArrayColumn where Element == TextElement {
    public mutating func append(_ value: String) { append(string: value) }
    public mutating func append(_ value: String?) {
        if let value { append(string: value) } else { appendNull() }
    }
    public mutating func append(utf8 value: Span<UInt8>) { append(span: value) }
}

extension ArrayColumn where Element == UUIDElement {
    public mutating func append(_ value: EventID) {
        append { buffer in
            buffer.append(value.high)
            buffer.append(value.low)
        }
    }
    public mutating func append(_ value: EventID?) {
        if let value { append(value) } else { appendNull() }
    }
}

extension ArrayColumn where Element == TimestampElement {
    public mutating func append(_ value: Timestamp) {
        append(fixed: value.microseconds &- PostgresEpoch.microseconds)
    }
    public mutating func append(_ value: Timestamp?) {
        if let value { append(value) } else { appendNull() }
    }
}

extension ArrayColumn where Element == DateElement {
    /// - Parameter day: whole days since 1970-01-01, like ``Timestamp/day``.
    public mutating func append(day: Int32) { append(fixed: day &- PostgresEpoch.days) }
    public mutating func append(day: Int32?) {
        if let day { append(day: day) } else { appendNull() }
    }
}

extension ArrayColumn where Element == NumericElement {
    public mutating func append(_ value: some PostgresDecimal) {
        append { NumericCodec.append(value.coefficient, scale: value.scale, to: &$0) }
    }
    public mutating func append(_ value: (some PostgresDecimal)?) {
        if let value { append(value) } else { appendNull() }
    }
    public mutating func append(coefficient: Int128, scale: Int) {
        append { NumericCodec.append(coefficient, scale: scale, to: &$0) }
    }
    /// - Throws: ``PostgresError/Code-swift.enum/encoding`` if `text` is not a number or is outside PostgreSQL's range.
    public mutating func append(numeric text: String?) throws(PostgresError) {
        guard let text else { return appendNull() }
        try append { (buffer: inout WireBuffer) throws(PostgresError) in
            try NumericCodec.append(text: text.utf8Span.span, to: &buffer)
        }
    }
}

extension ArrayColumn where Element == JSONElement {
    public mutating func append(json: String?) {
        if let json { append(string: json) } else { appendNull() }
    }
    public mutating func append(json: Span<UInt8>) { append(span: json) }
}

extension ArrayColumn where Element == JSONBElement {
    public mutating func append(jsonb: String?) {
        guard let jsonb else { return appendNull() }
        append { buffer in
            buffer.append(UInt8(1))
            buffer.append(jsonb)
        }
    }
    public mutating func append(jsonb: Span<UInt8>) {
        appendVersioned(jsonb)
    }
    public mutating func append(jsonbUTF8 jsonb: [UInt8]?) {
        if let jsonb { appendVersioned(jsonb.span) } else { appendNull() }
    }
}

extension ArrayColumn where Element == ByteaElement {
    public mutating func append(_ value: [UInt8]?) {
        if let value { append(span: value.span) } else { appendNull() }
    }
    public mutating func append(bytea: Span<UInt8>) { append(span: bytea) }
}

extension ArrayColumn {
    /// `jsonb_recv` expects a version byte, 1, before the text.
    fileprivate mutating func appendVersioned(_ span: Span<UInt8>) {
        wire.append(Int32(span.count + 1))
        wire.append(UInt8(1))
        wire.append(span)
        count += 1
    }
}
