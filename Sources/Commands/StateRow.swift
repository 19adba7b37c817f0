public import Events
internal import Postgres
public import StreamCore

/// A row of a ``StateTable``. Each call reads the next column, in the order of the table's columns.
public struct StateRow {
    private let rows: QueryResult
    private let row: Int
    private var next: Int

    /// - Parameter column: the first column to read.
    init(_ rows: QueryResult, _ row: Int, from column: Int) {
        self.rows = rows
        self.row = row
        next = column
    }

    private mutating func column() -> Int {
        defer { next += 1 }
        return next
    }

    public mutating func text() throws -> String { try rows.string(row, column()) }

    public mutating func optionalText() throws -> String? { try rows.optionalString(row, column()) }

    public mutating func bigint() throws -> Int64 { try rows.int64(row, column()) }

    public mutating func numeric() throws -> DecimalAmount {
        let (coefficient, scale) = try rows.decimal(row, column())
        return DecimalAmount(coefficient: coefficient, scale: scale)
    }

    public mutating func timestamp() throws -> Timestamp { try rows.timestamp(row, column()) }

    public mutating func optionalTimestamp() throws -> Timestamp? { try rows.optionalTimestamp(row, column()) }

    public mutating func uuid() throws -> EventID { try rows.eventID(row, column()) }

    /// Passes the bytes of a JSON value to `read`.
    public mutating func json<Value>(_ read: (Span<UInt8>) throws -> Value) throws -> Value {
        let column = column()
        return try read(rows.textBytes(row, column))
    }

    /// Reads two columns.
    public mutating func moment() throws -> EventMoment { EventMoment(at: try timestamp(), eventID: try uuid()) }

    /// Reads two columns, which are NULL if the event has not happened.
    public mutating func optionalMoment() throws -> EventMoment? {
        let (time, eventID) = (column(), column())
        guard let at = try rows.optionalTimestamp(row, time) else { return nil }
        return EventMoment(at: at, eventID: try rows.eventID(row, eventID))
    }

    /// Reads a currency.
    ///
    /// - Parameter noun: the aggregate in the error's text.
    public mutating func currency(of noun: String) throws -> Currency {
        guard let currency = Currency(try text()) else { throw StoredStateError("\(noun) has an unknown currency") }
        return currency
    }
}
