public import StreamCore

/// A one-dimensional array of values of a composite type, for example of a table's row type, in PostgreSQL's binary
/// format.
///
/// `unnest` of one array of records costs the server far less than `unnest` of many arrays, because the server
/// materialises each array separately: 5,000 rows of 46 columns, nearly all of them NULL, took 40 ms as arrays.
///
/// The formats are those of `array_recv` (`arrayfuncs.c`) and `record_recv` (`rowtypes.c`): the number of fields, and
/// then the type and the length of each field (−1 for NULL). The types must be exactly the declared ones, so the caller
/// has to query the OIDs of composite types first.
public struct RecordArray: Sendable {
    private let type: PostgresType
    private let elementType: PostgresType
    private var fields: RecordFields
    /// The number of records.
    public private(set) var count = 0

    /// - Parameters:
    ///   - elementType: the composite type.
    ///   - type: the composite type's array type, `pg_type.typarray`.
    ///   - capacity: the expected size of all records in bytes, for which memory is reserved.
    public init(of elementType: PostgresType, as type: PostgresType, reservingBytes capacity: Int = 0) {
        self.elementType = elementType
        self.type = type
        fields = RecordFields(reservingBytes: 20 + capacity)
        for word in [1, 0, Int32(bitPattern: elementType.oid), 0, 1] { fields.wire.append(word) }
    }

    /// Appends a record. `write` must append all fields in the order of the type.
    public mutating func append(_ write: (inout RecordFields) -> Void) {
        fields.appendRecord(write)
        count += 1
        fields.wire.overwrite(Int32(truncatingIfNeeded: count), at: 12)
    }

    var parameter: (type: PostgresType, wire: WireBuffer) { (type, fields.wire) }
}

/// The fields of a record, in order. nil stands for NULL.
public struct RecordFields: Sendable {
    fileprivate var wire: WireBuffer
    private var count: Int32 = 0

    fileprivate init(reservingBytes capacity: Int) {
        wire = WireBuffer(capacity: capacity)
    }

    /// Appends NULL of the given type.
    public mutating func appendNull(_ type: PostgresType) {
        begin(type)
        wire.append(Int32(-1))
    }

    /// Appends a `bigint`.
    public mutating func append(_ value: Int64?) {
        guard let value else { return appendNull(.int8) }
        begin(.int8)
        wire.append(sized: value)
    }

    /// Appends a `text`.
    public mutating func append(_ value: String?) {
        guard let value else { return appendNull(.text) }
        begin(.text)
        wire.append(Int32(truncatingIfNeeded: value.utf8.count))
        wire.append(value)
    }

    /// Appends a `text`, given as UTF-8.
    public mutating func append(utf8 text: [UInt8]?) {
        guard let text else { return appendNull(.text) }
        begin(.text)
        wire.append(Int32(truncatingIfNeeded: text.count))
        wire.append(text.span)
    }

    /// Appends a `uuid`.
    public mutating func append(_ value: EventID?) {
        guard let value else { return appendNull(.uuid) }
        begin(.uuid)
        wire.append(Int32(16))
        wire.append(value.high)
        wire.append(value.low)
    }

    /// Appends a `timestamptz`.
    public mutating func append(_ value: Timestamp?) {
        guard let value else { return appendNull(.timestamptz) }
        begin(.timestamptz)
        wire.append(sized: value.microseconds &- PostgresEpoch.microseconds)
    }

    /// Appends a `numeric`.
    public mutating func append(_ value: (some PostgresDecimal)?) {
        guard let value else { return appendNull(.numeric) }
        begin(.numeric)
        sized { NumericCodec.append(value.coefficient, scale: value.scale, to: &$0.wire) }
    }

    /// Appends a `jsonb`, given as JSON text in UTF-8.
    public mutating func append(jsonb text: [UInt8]?) {
        guard let text else { return appendNull(.jsonb) }
        begin(.jsonb)
        wire.append(Int32(truncatingIfNeeded: text.count + 1))
        wire.append(UInt8(1))
        wire.append(text.span)
    }

    /// Appends a record as a field of this record. `write` must append all its fields in the order of the type.
    public mutating func append(record type: PostgresType, _ write: (inout RecordFields) -> Void) {
        begin(type)
        appendRecord(write)
    }

    /// Appends an array of records as a field of this record.
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

    /// Appends what `write` appends, preceded by its length.
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
    /// Appends an array of records, for `unnest($n::the_type[])`.
    public mutating func append(_ records: RecordArray) {
        append(records.parameter.type) { $0.append(records.parameter.wire) }
    }
}
