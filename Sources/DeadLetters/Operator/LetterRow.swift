internal import Postgres
internal import StreamCore

/// Reads the columns of a row one after the other, in the order of the statement.
struct LetterRow {
    private let result: QueryResult
    private let row: Int
    private var column = -1

    init(_ result: QueryResult, _ row: Int) {
        self.result = result
        self.row = row
    }

    private mutating func next() -> Int {
        column += 1
        return column
    }

    mutating func int64() throws(PostgresError) -> Int64 { try result.int64(row, next()) }
    mutating func int32() throws(PostgresError) -> Int32 { try result.int32(row, next()) }
    mutating func optionalInt64() throws(PostgresError) -> Int64? { try result.optionalInt64(row, next()) }
    mutating func bool() throws(PostgresError) -> Bool { try result.bool(row, next()) }
    mutating func string() throws(PostgresError) -> String { try result.string(row, next()) }
    mutating func text() throws(PostgresError) -> String? { try result.optionalString(row, next()) }
    mutating func timestamp() throws(PostgresError) -> Timestamp { try result.timestamp(row, next()) }
    mutating func time() throws(PostgresError) -> Timestamp? { try result.optionalTimestamp(row, next()) }
    mutating func eventID() throws(PostgresError) -> EventID? { try result.optionalEventID(row, next()) }

    mutating func bytes() -> [UInt8]? { result.optionalBytes(row, next()) }

    mutating func state() throws(PostgresError) -> DeadLetterStore.State {
        let name = try string()
        guard let state = DeadLetterStore.State(rawValue: name) else {
            throw PostgresError(.decoding, "a letter is in the unknown state \(name)")
        }
        return state
    }

    /// Reads `header_names` and then `header_values`.
    mutating func headers() -> [DeadLetterStore.Header] {
        let (names, values) = (next(), next())
        return zip(
            BinaryArray.elements(result.bytes(row, names)), BinaryArray.elements(result.bytes(row, values))
        ).map { name, value in
            DeadLetterStore.Header(name: String(decoding: name ?? [], as: UTF8.self), value: value)
        }
    }
}
