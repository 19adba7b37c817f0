internal import CLibPQ
public import StreamCore

/// The rows that a statement returned, in libpq's memory. Values are read in place.
///
/// Getters throw ``PostgresError/Code-swift.enum/decoding`` if the value is NULL (except the `optional…` getters) or
/// its column has another type. A row or column that does not exist is a programming error and traps.
@safe public final class QueryResult: @unchecked Sendable {
    // SAFETY: a complete PGresult never changes, and libpq's getters only read it, from any thread. It is freed once,
    // here. Spans that this object returns borrow it.
    private let pointer: OpaquePointer
    private let types: [UInt32]
    /// The number of rows.
    public let rowCount: Int
    /// The number of columns of each row.
    public let columnCount: Int

    /// - Parameter pointer: a PGresult. This object owns it from now on.
    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
        rowCount = unsafe Int(PQntuples(pointer))
        columnCount = unsafe Int(PQnfields(pointer))
        types = unsafe (0..<PQnfields(pointer)).map { unsafe PQftype(pointer, $0) }
    }

    deinit {
        unsafe PQclear(pointer)
    }

    /// The server's command tag: `INSERT 0 5`, `COMMIT`, …
    public var commandTag: String { unsafe String(cString: PQcmdStatus(pointer)) }

    /// The number of rows that the statement inserted, changed, deleted or selected; 0 for other commands.
    public var affectedRows: Int { unsafe Int(String(cString: PQcmdTuples(pointer))) ?? 0 }

    /// The column's name.
    public func columnName(_ column: Int) -> String {
        precondition(column >= 0 && column < columnCount, "no such column")
        return unsafe String(cString: PQfname(pointer, Int32(column)))
    }

    /// The position of the column with this name; nil if there is none.
    public func column(named name: String) -> Int? {
        (0..<columnCount).first { columnName($0) == name }
    }

    /// The column's type.
    public func type(ofColumn column: Int) -> PostgresType { PostgresType(oid: types[column]) }

    /// Whether the value is NULL.
    public func isNull(_ row: Int, _ column: Int) -> Bool {
        check(row, column)
        return unsafe PQgetisnull(pointer, Int32(row), Int32(column)) != 0
    }

    /// The value's bytes in PostgreSQL's binary format. For `text`, `json` and `bytea` these are the content itself.
    /// Empty for NULL; use ``isNull(_:_:)`` to distinguish NULL from an empty value.
    @_lifetime(borrow self)
    public func bytes(_ row: Int, _ column: Int) -> Span<UInt8> {
        check(row, column)
        // SAFETY: libpq keeps the value and its length until PQclear, which only deinit calls. The span borrows this
        // object.
        let count = unsafe Int(PQgetlength(pointer, Int32(row), Int32(column)))
        let start = unsafe UnsafeRawPointer(PQgetvalue(pointer, Int32(row), Int32(column)))
        let buffer = unsafe UnsafeBufferPointer(start: start?.assumingMemoryBound(to: UInt8.self), count: count)
        return unsafe _overrideLifetime(Span(_unsafeElements: buffer), borrowing: self)
    }

    private func check(_ row: Int, _ column: Int) {
        precondition(row >= 0 && row < rowCount && column >= 0 && column < columnCount, "no such row or column")
    }

    private func mismatch(_ column: Int, _ wanted: StaticString, file: String = #fileID, line: Int = #line)
        -> PostgresError
    {
        PostgresError(
            .decoding, "column \(columnName(column)) of type \(types[column]) cannot be read as \(wanted)",
            file: file, line: line)
    }

    /// The bytes of a value that is not NULL. A value with bytes cannot be NULL, so only an empty one is checked.
    @_lifetime(borrow self)
    private func value(_ row: Int, _ column: Int) throws(PostgresError) -> Span<UInt8> {
        let span = bytes(row, column)
        if span.isEmpty && isNull(row, column) {
            throw PostgresError(.decoding, "column \(columnName(column)) is NULL")
        }
        return span
    }

    @inline(__always)
    private func bigEndian(_ bytes: Span<UInt8>) -> UInt64 {
        // SAFETY: the loads check that they are within the span, and any bits form an integer.
        switch bytes.count {
        case 8: return unsafe bytes.bytes.unsafeLoadUnaligned(as: UInt64.self).bigEndian
        case 4: return unsafe UInt64(bytes.bytes.unsafeLoadUnaligned(as: UInt32.self).bigEndian)
        default: break
        }
        var value: UInt64 = 0
        for index in bytes.indices { value = value << 8 | UInt64(bytes[index]) }
        return value
    }
}

// MARK: - Typed getters

extension QueryResult {
    /// `bigint`, `integer`, `smallint` or `oid`.
    public func int64(_ row: Int, _ column: Int) throws(PostgresError) -> Int64 {
        let value = bigEndian(try value(row, column))
        switch type(ofColumn: column) {
        case .int8: return Int64(bitPattern: value)
        case .int4: return Int64(Int32(truncatingIfNeeded: value))
        case .int2: return Int64(Int16(truncatingIfNeeded: value))
        case .oid: return Int64(value)
        default: throw mismatch(column, "integer")
        }
    }

    /// `integer`, `smallint`, or another integer type if the value fits.
    public func int32(_ row: Int, _ column: Int) throws(PostgresError) -> Int32 {
        guard let value = Int32(exactly: try int64(row, column)) else { throw mismatch(column, "32-bit integer") }
        return value
    }

    /// `boolean`.
    public func bool(_ row: Int, _ column: Int) throws(PostgresError) -> Bool {
        let value = try value(row, column)
        guard type(ofColumn: column) == .bool else { throw mismatch(column, "boolean") }
        return bigEndian(value) != 0
    }

    /// `double precision`.
    public func double(_ row: Int, _ column: Int) throws(PostgresError) -> Double {
        let value = try value(row, column)
        guard type(ofColumn: column) == .float8 else { throw mismatch(column, "double precision") }
        return Double(bitPattern: bigEndian(value))
    }

    /// `text`, `varchar`, `char`, `name`, `json`, `jsonb`, or an enumeration.
    public func string(_ row: Int, _ column: Int) throws(PostgresError) -> String {
        _ = try value(row, column)
        let span = try textBytes(row, column)
        // SAFETY: the span is valid during the call, and the string copies it. Invalid UTF-8 is repaired.
        return unsafe span.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// The UTF-8 bytes of a value that ``string(_:_:)`` can read, in place; empty for NULL.
    @_lifetime(borrow self)
    public func textBytes(_ row: Int, _ column: Int) throws(PostgresError) -> Span<UInt8> {
        let span = bytes(row, column)
        switch type(ofColumn: column) {
        case .text, .varchar, .bpchar, .name, .json, .char, .xml, .unknown: return span
        case .jsonb: return span.isEmpty ? span : span.extracting(droppingFirst: 1)
        case let type where type.oid >= 16_384: return span
        default: throw mismatch(column, "text")
        }
    }

    /// `uuid`.
    public func eventID(_ row: Int, _ column: Int) throws(PostgresError) -> EventID {
        let span = try value(row, column)
        guard type(ofColumn: column) == .uuid, span.count == 16 else { throw mismatch(column, "uuid") }
        return EventID(high: bigEndian(span.extracting(0..<8)), low: bigEndian(span.extracting(8..<16)))
    }

    /// `timestamptz`, or `timestamp` read as UTC. Throws for `infinity`, which is not an instant.
    public func timestamp(_ row: Int, _ column: Int) throws(PostgresError) -> Timestamp {
        let bytes = try value(row, column)
        guard type(ofColumn: column) == .timestamptz || type(ofColumn: column) == .timestamp else {
            throw mismatch(column, "timestamp")
        }
        let value = Int64(bitPattern: bigEndian(bytes))
        let (sum, overflow) = value.addingReportingOverflow(PostgresEpoch.microseconds)
        if overflow || value == .min { throw mismatch(column, "finite timestamp") }
        return Timestamp(microseconds: sum)
    }

    /// `date`, as whole days since 1970-01-01.
    public func day(_ row: Int, _ column: Int) throws(PostgresError) -> Int32 {
        let bytes = try value(row, column)
        guard type(ofColumn: column) == .date else { throw mismatch(column, "date") }
        let value = Int32(truncatingIfNeeded: bigEndian(bytes))
        let (sum, overflow) = value.addingReportingOverflow(PostgresEpoch.days)
        if overflow || value == .min { throw mismatch(column, "finite date") }
        return sum
    }

    /// `numeric` as text, with its exact digits and all its decimal places.
    public func numeric(_ row: Int, _ column: Int) throws(PostgresError) -> String {
        let bytes = try value(row, column)
        guard type(ofColumn: column) == .numeric, let text = NumericCodec.text(bytes) else {
            throw mismatch(column, "numeric")
        }
        return text
    }

    /// `numeric` as `coefficient × 10^−scale`. Throws if the number is not finite or the coefficient does not fit into
    /// `Int128`.
    public func decimal(_ row: Int, _ column: Int) throws(PostgresError) -> (coefficient: Int128, scale: Int) {
        let bytes = try value(row, column)
        guard type(ofColumn: column) == .numeric, let value = NumericCodec.decimal(bytes) else {
            throw mismatch(column, "decimal of 38 digits")
        }
        return value
    }
}

// MARK: - Getters that return nil for NULL

extension QueryResult {
    /// ``int64(_:_:)``, or nil for NULL.
    public func optionalInt64(_ row: Int, _ column: Int) throws(PostgresError) -> Int64? {
        isNull(row, column) ? nil : try int64(row, column)
    }

    /// ``int32(_:_:)``, or nil for NULL.
    public func optionalInt32(_ row: Int, _ column: Int) throws(PostgresError) -> Int32? {
        isNull(row, column) ? nil : try int32(row, column)
    }

    /// ``bool(_:_:)``, or nil for NULL.
    public func optionalBool(_ row: Int, _ column: Int) throws(PostgresError) -> Bool? {
        isNull(row, column) ? nil : try bool(row, column)
    }

    /// ``string(_:_:)``, or nil for NULL.
    public func optionalString(_ row: Int, _ column: Int) throws(PostgresError) -> String? {
        isNull(row, column) ? nil : try string(row, column)
    }

    /// ``eventID(_:_:)``, or nil for NULL.
    public func optionalEventID(_ row: Int, _ column: Int) throws(PostgresError) -> EventID? {
        isNull(row, column) ? nil : try eventID(row, column)
    }

    /// ``timestamp(_:_:)``, or nil for NULL.
    public func optionalTimestamp(_ row: Int, _ column: Int) throws(PostgresError) -> Timestamp? {
        isNull(row, column) ? nil : try timestamp(row, column)
    }

    /// ``numeric(_:_:)``, or nil for NULL.
    public func optionalNumeric(_ row: Int, _ column: Int) throws(PostgresError) -> String? {
        isNull(row, column) ? nil : try numeric(row, column)
    }
}

// MARK: - Errors

extension PostgresError {
    /// Reads the server's error from a result. The caller still owns the result.
    init(
        result: OpaquePointer, code: Code = .server, sql: String?, file: String = #fileID, line: Int = #line
    ) {
        // SAFETY: libpq's strings live until PQclear, and they are copied here.
        func field(_ code: Int32) -> String? {
            unsafe PQresultErrorField(result, code).map { unsafe String(cString: $0) }
        }
        let state = field(ErrorField.sqlState)
        let message = unsafe field(ErrorField.message) ?? String(cString: PQresultErrorMessage(result)).trimmedLine
        self.init(code, message, sqlState: state.map { SQLState($0) }, file: file, line: line)
        detail = field(ErrorField.detail)
        hint = field(ErrorField.hint)
        schema = field(ErrorField.schema)
        table = field(ErrorField.table)
        column = field(ErrorField.column)
        constraint = field(ErrorField.constraint)
        position = field(ErrorField.position).flatMap { Int($0) }
        self.sql = sql
    }

    /// Whether the message means that the server ends the session.
    static func isFatal(_ result: OpaquePointer) -> Bool {
        guard let severity = unsafe PQresultErrorField(result, ErrorField.severity) else { return false }
        return unsafe ["FATAL", "PANIC"].contains(String(cString: severity))
    }

    /// The `PG_DIAG_…` constants of `postgres_ext.h`. Swift does not import them because they are character constants.
    private enum ErrorField {
        static let severity = Int32(UInt8(ascii: "V"))
        static let sqlState = Int32(UInt8(ascii: "C"))
        static let message = Int32(UInt8(ascii: "M"))
        static let detail = Int32(UInt8(ascii: "D"))
        static let hint = Int32(UInt8(ascii: "H"))
        static let schema = Int32(UInt8(ascii: "s"))
        static let table = Int32(UInt8(ascii: "t"))
        static let column = Int32(UInt8(ascii: "c"))
        static let constraint = Int32(UInt8(ascii: "n"))
        static let position = Int32(UInt8(ascii: "P"))
    }
}
