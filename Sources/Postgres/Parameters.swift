public import StreamCore

/// The values of a statement's parameters `$1`, `$2`, … in order, in PostgreSQL's binary formats in one buffer.
///
/// nil stands for NULL. An empty string, array or byte sequence is not NULL.
public struct Parameters: Sendable {
    struct Value: Sendable {
        let offset: Int
        /// The length in bytes, or −1 for NULL.
        let length: Int32
    }

    private(set) var types: [UInt32] = []
    private(set) var values: [Value] = []
    private(set) var buffer = WireBuffer()

    public init() {}

    /// - Parameter bytes: the expected size of all values in bytes, for which memory is reserved.
    public init(reservingBytes bytes: Int) {
        buffer = WireBuffer(capacity: bytes)
    }

    /// The number of values.
    public var count: Int { values.count }

    mutating func append(_ type: PostgresType, _ encode: (inout WireBuffer) -> Void) {
        let offset = buffer.count
        encode(&buffer)
        types.append(type.oid)
        values.append(Value(offset: offset, length: Int32(buffer.count - offset)))
    }

    /// Appends NULL of the given type.
    public mutating func appendNull(_ type: PostgresType) {
        types.append(type.oid)
        values.append(Value(offset: 0, length: -1))
    }

    /// Appends a `bigint`.
    public mutating func append(_ value: Int64?) {
        guard let value else { return appendNull(.int8) }
        append(.int8) { $0.append(value) }
    }

    /// Appends an `integer`.
    public mutating func append(_ value: Int32?) {
        guard let value else { return appendNull(.int4) }
        append(.int4) { $0.append(value) }
    }

    /// Appends a `smallint`.
    public mutating func append(_ value: Int16?) {
        guard let value else { return appendNull(.int2) }
        append(.int2) { $0.append(value) }
    }

    /// Appends a `boolean`.
    public mutating func append(_ value: Bool?) {
        guard let value else { return appendNull(.bool) }
        append(.bool) { $0.append(UInt8(value ? 1 : 0)) }
    }

    /// Appends a `double precision`.
    public mutating func append(_ value: Double?) {
        guard let value else { return appendNull(.float8) }
        append(.float8) { $0.append(value.bitPattern) }
    }

    /// Appends a `text`.
    public mutating func append(_ value: String?) {
        guard let value else { return appendNull(.text) }
        append(.text) { $0.append(value) }
    }

    /// Appends a `text`, given as UTF-8.
    public mutating func append(text value: Span<UInt8>) {
        append(.text, value)
    }

    /// Appends a `bytea`.
    public mutating func append(_ value: [UInt8]?) {
        guard let value else { return appendNull(.bytea) }
        append(.bytea, value.span)
    }

    /// Appends a `bytea`.
    public mutating func append(bytea value: Span<UInt8>) {
        append(.bytea, value)
    }

    private mutating func append(_ type: PostgresType, _ value: Span<UInt8>) {
        let offset = buffer.count
        buffer.append(value)
        types.append(type.oid)
        values.append(Value(offset: offset, length: Int32(buffer.count - offset)))
    }

    /// Appends a `uuid`.
    public mutating func append(_ value: EventID?) {
        guard let value else { return appendNull(.uuid) }
        append(.uuid) {
            $0.append(value.high)
            $0.append(value.low)
        }
    }

    /// Appends a `timestamptz`.
    public mutating func append(_ value: Timestamp?) {
        guard let value else { return appendNull(.timestamptz) }
        append(.timestamptz) { $0.append(value.microseconds &- PostgresEpoch.microseconds) }
    }

    /// Appends a `date`.
    ///
    /// - Parameter value: whole days since 1970-01-01, like ``Timestamp/day``.
    public mutating func append(day value: Int32?) {
        guard let value else { return appendNull(.date) }
        append(.date) { $0.append(value &- PostgresEpoch.days) }
    }

    /// Appends a `json` text unchanged.
    public mutating func append(json text: String?) {
        guard let text else { return appendNull(.json) }
        append(.json) { $0.append(text) }
    }

    /// Appends a `json` text unchanged, given as UTF-8.
    public mutating func append(json text: Span<UInt8>) {
        append(.json, text)
    }

    /// Appends a `jsonb`, given as JSON text.
    public mutating func append(jsonb text: String?) {
        guard let text else { return appendNull(.jsonb) }
        append(.jsonb) {
            $0.append(UInt8(1))
            $0.append(text)
        }
    }

    /// Appends a `jsonb`, given as JSON text in UTF-8.
    public mutating func append(jsonbUTF8 text: [UInt8]?) {
        guard let text else { return appendNull(.jsonb) }
        append(.jsonb) {
            $0.append(UInt8(1))
            $0.append(text.span)
        }
    }

    /// Appends a `numeric`.
    public mutating func append(_ value: (some PostgresDecimal)?) {
        guard let value else { return appendNull(.numeric) }
        append(.numeric) { NumericCodec.append(value.coefficient, scale: value.scale, to: &$0) }
    }

    /// Appends a `numeric` with exactly the digits of `text`, which may have a sign, a point and an exponent.
    ///
    /// - Throws: ``PostgresError/Code-swift.enum/encoding`` if `text` is not a number or is outside PostgreSQL's range.
    public mutating func append(numeric text: String?) throws(PostgresError) {
        guard let text else { return appendNull(.numeric) }
        let offset = buffer.count
        try NumericCodec.append(text: text.utf8Span.span, to: &buffer)
        types.append(PostgresType.numeric.oid)
        values.append(Value(offset: offset, length: Int32(buffer.count - offset)))
    }

    /// Appends an array, for `unnest($n)` or `= ANY($n)`.
    public mutating func append<Element>(_ column: ArrayColumn<Element>) {
        let offset = buffer.count
        column.write(to: &buffer)
        types.append(Element.arrayType.oid)
        values.append(Value(offset: offset, length: Int32(buffer.count - offset)))
    }
}

extension Parameters {
    /// Creates parameters and passes them to `build`, which appends the values in order.
    public init(_ build: (inout Parameters) -> Void) {
        self.init()
        build(&self)
    }
}
