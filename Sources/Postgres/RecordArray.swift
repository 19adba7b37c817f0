public import StreamCore

/// A one-dimensional array of values of a composite type — a table's row type, for instance — in PostgreSQL's binary
/// format.
///
/// `unnest` of one such array costs the server far less than `unnest` of many arrays side by side, of which it
/// materialises each by itself: 5,000 rows of 46 columns took 40 ms as arrays, nearly all of them NULL.
///
/// The formats are `array_recv`'s (`arrayfuncs.c`) and `record_recv`'s (`rowtypes.c`): the number of fields, then
/// each field's type and length, −1 for NULL. Types must be exactly the declared ones, so the OIDs of composite types
/// have to be asked of the database first.
public struct RecordArray: Sendable {
    private let type: PostgresType
    private let elementType: PostgresType
    private var fields: RecordFields
    /// How many records there are.
    public private(set) var count = 0

    /// - Parameters:
    ///   - elementType: the composite type.
    ///   - type: its array type, `pg_type.typarray`.
    ///   - capacity: bytes of records to make room for, at a guess.
    public init(of elementType: PostgresType, as type: PostgresType, reservingBytes capacity: Int = 0) {
        self.elementType = elementType
        self.type = type
        fields = RecordFields(reservingBytes: 20 + capacity)
        for word in [1, 0, Int32(bitPattern: elementType.oid), 0, 1] { fields.wire.append(word) }
    }

    /// Appends a record whose fields `write` appends, all of them, in the type's order.
    public mutating func append(_ write: (inout RecordFields) -> Void) {
        fields.appendRecord(write)
        count += 1
        fields.wire.overwrite(Int32(truncatingIfNeeded: count), at: 12)
    }

    var parameter: (type: PostgresType, wire: WireBuffer) { (type, fields.wire) }
}

/// The fields of a record, one after the other. nil is NULL.
public struct RecordFields: Sendable {
    fileprivate var wire: WireBuffer
    private var count: Int32 = 0

    fileprivate init(reservingBytes capacity: Int) {
        wire = WireBuffer(capacity: capacity)
    }

    /// NULL of the given type.
    public mutating func appendNull(_ type: PostgresType) {
        begin(type)
        wire.append(Int32(-1))
    }

    /// `bigint`.
    public mutating func append(_ value: Int64?) {
        guard let value else { return appendNull(.int8) }
        begin(.int8)
        wire.append(sized: value)
    }

    /// `text`.
    public mutating func append(_ value: String?) {
        guard let value else { return appendNull(.text) }
        begin(.text)
        wire.append(Int32(truncatingIfNeeded: value.utf8.count))
        wire.append(value)
    }

    /// `text` from its bytes.
    public mutating func append(utf8 text: [UInt8]?) {
        guard let text else { return appendNull(.text) }
        begin(.text)
        wire.append(Int32(truncatingIfNeeded: text.count))
        wire.append(text.span)
    }

    /// `uuid`.
    public mutating func append(_ value: EventID?) {
        guard let value else { return appendNull(.uuid) }
        begin(.uuid)
        wire.append(Int32(16))
        wire.append(value.high)
        wire.append(value.low)
    }

    /// `timestamptz`.
    public mutating func append(_ value: Timestamp?) {
        guard let value else { return appendNull(.timestamptz) }
        begin(.timestamptz)
        wire.append(sized: value.microseconds &- PostgresEpoch.microseconds)
    }

    /// `numeric`.
    public mutating func append(_ value: (some PostgresDecimal)?) {
        guard let value else { return appendNull(.numeric) }
        begin(.numeric)
        sized { NumericCodec.append(value.coefficient, scale: value.scale, to: &$0.wire) }
    }

    /// `jsonb` from its UTF-8 text.
    public mutating func append(jsonb text: [UInt8]?) {
        guard let text else { return appendNull(.jsonb) }
        begin(.jsonb)
        wire.append(Int32(truncatingIfNeeded: text.count + 1))
        wire.append(UInt8(1))
        wire.append(text.span)
    }

    /// A record within the record.
    public mutating func append(record type: PostgresType, _ write: (inout RecordFields) -> Void) {
        begin(type)
        appendRecord(write)
    }

    /// An array of records within the record.
    public mutating func append(records: RecordArray) {
        let (type, wire) = records.parameter
        begin(type)
        sized { $0.wire.append(wire) }
    }

    fileprivate mutating func appendRecord(_ write: (inout RecordFields) -> Void) {
        sized { fields in
            let outer = fields.count
            let start = fields.wire.count
            fields.wire.append(Int32(0))
            fields.count = 0
            write(&fields)
            fields.wire.overwrite(fields.count, at: start)
            fields.count = outer
        }
    }

    /// The length of what `write` appends, and that.
    @inline(__always)
    private mutating func sized(_ write: (inout RecordFields) -> Void) {
        let start = wire.count
        wire.append(Int32(0))
        write(&self)
        wire.overwrite(Int32(truncatingIfNeeded: wire.count - start - 4), at: start)
    }

    @inline(__always)
    private mutating func begin(_ type: PostgresType) {
        count += 1
        wire.append(type.oid)
    }
}

extension Parameters {
    /// An array of records, for `unnest($n::the_type[])`.
    public mutating func append(_ records: RecordArray) {
        append(records.parameter.type) { $0.append(records.parameter.wire) }
    }
}
