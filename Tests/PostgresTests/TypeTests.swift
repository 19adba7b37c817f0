import Postgres
import StreamCore
import TestKit
import Testing

/// A value of every type is sent to the server and read back. The server must read it as the same value as its text
/// form.
@Suite struct TypeTests {
    private struct Amount: PostgresDecimal {
        var coefficient: Int128
        var scale: Int
    }

    private func withConnection(_ body: (PostgresConnection) async throws -> Void) async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await body(connection)
            await connection.close()
        }
    }

    @Test func scalarsComeBackAsTheyWent() async throws {
        let id = try #require(EventID("00112233-4455-6677-8899-aabbccddeeff"))
        let time = try #require(Timestamp("1999-12-31T23:59:59.123456Z"))
        try await withConnection { connection in
            let parameters = Parameters {
                $0.append(Int64.min)
                $0.append(Int32.min)
                $0.append(Int16.min)
                $0.append(true)
                $0.append(-0.1)
                $0.append("naïve ☃ \u{1F600}")
                $0.append([0, 255, 0] as [UInt8])
                $0.append(id)
                $0.append(time)
                $0.append(day: -1)
                $0.append(json: "{ \"a\" :1}")
                $0.append(jsonb: "{ \"a\" :1}")
                $0.append(Amount(coefficient: -1_999, scale: 2))
            }
            let row = try await connection.execute("SELECT $1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13", parameters)
            #expect(try row.int64(0, 0) == .min)
            #expect(try row.int32(0, 1) == .min)
            #expect(try row.int64(0, 2) == Int64(Int16.min))
            #expect(try row.bool(0, 3))
            #expect(try row.double(0, 4) == -0.1)
            #expect(try row.string(0, 5) == "naïve ☃ \u{1F600}")
            let bytes = row.bytes(0, 6)
            #expect(bytes.indices.map { bytes[$0] } == [0, 255, 0])
            #expect(try row.eventID(0, 7) == id)
            #expect(try row.timestamp(0, 8) == time)
            #expect(try row.day(0, 9) == -1)
            #expect(try row.string(0, 10) == "{ \"a\" :1}")
            #expect(try row.string(0, 11) == "{\"a\": 1}")
            #expect(try row.numeric(0, 12) == "-19.99")
            #expect(try row.decimal(0, 12) == (-1_999, 2))
            let texts = try await connection.execute(
                "SELECT $1::text, ($2 AT TIME ZONE 'UTC')::text, $3::text",
                Parameters {
                    $0.append(id)
                    $0.append(time)
                    $0.append(day: -1)
                })
            #expect(try texts.string(0, 0) == "00112233-4455-6677-8899-aabbccddeeff")
            #expect(try texts.string(0, 1) == "1999-12-31 23:59:59.123456")
            #expect(try texts.string(0, 2) == "1969-12-31")
        }
    }

    @Test func nullIsNotEmpty() async throws {
        try await withConnection { connection in
            let parameters = Parameters {
                $0.append("")
                $0.append(nil as String?)
                $0.append([] as [UInt8])
                $0.append(nil as [UInt8]?)
                $0.appendNull(.int8)
                $0.append(nil as Timestamp?)
            }
            let row = try await connection.execute("SELECT $1, $2, $3, $4, $5, $6", parameters)
            #expect((0..<6).map { row.isNull(0, $0) } == [false, true, false, true, true, true])
            #expect(try row.string(0, 0) == "")
            #expect(try row.optionalString(0, 1) == nil)
            #expect(try row.optionalInt64(0, 4) == nil)
            let error = #expect(throws: PostgresError.self) { try row.int64(0, 4) }
            #expect(error?.code == .decoding)
            #expect(throws: PostgresError.self) { try row.int64(0, 0) }
            let texts = try await connection.execute(
                "SELECT 'infinity'::timestamptz, '-infinity'::date, 'NaN'::numeric")
            #expect(throws: PostgresError.self) { try texts.timestamp(0, 0) }
            #expect(throws: PostgresError.self) { try texts.day(0, 1) }
            #expect(throws: PostgresError.self) { try texts.decimal(0, 2) }
            #expect(try texts.numeric(0, 2) == "NaN")
        }
    }

    @Test func arraysOfNullableValuesUnnest() async throws {
        let id = EventID(high: 1, low: 2)
        let time = Timestamp(microseconds: -1)
        let parameters = try { () throws(PostgresError) -> Parameters in
            var (int8, int4, int2, flags) = (Int64Array(), Int32Array(), Int16Array(), BoolArray())
            var (texts, ids, times, days) = (TextArray(), UUIDArray(), TimestampArray(), DateArray())
            var (amounts, jsons, jsonbs, blobs) = (NumericArray(), JSONArray(), JSONBArray(), ByteaArray())
            int8.append(-8)
            int8.append(nil)
            int4.append(-4)
            int4.append(nil)
            int2.append(-2)
            int2.append(nil)
            flags.append(true)
            flags.append(nil)
            texts.append("")
            texts.append(nil)
            ids.append(id)
            ids.append(nil)
            times.append(time)
            times.append(nil)
            days.append(day: 0)
            days.append(day: nil)
            try amounts.append(numeric: "123456789012345678901234567890.5")
            amounts.appendNull()
            jsons.append(json: "[1]")
            jsons.append(json: nil)
            jsonbs.append(jsonb: "[1]")
            jsonbs.append(jsonb: nil)
            blobs.append([])
            blobs.append(nil)
            var parameters = Parameters()
            parameters.append(int8)
            parameters.append(int4)
            parameters.append(int2)
            parameters.append(flags)
            parameters.append(texts)
            parameters.append(ids)
            parameters.append(times)
            parameters.append(days)
            parameters.append(amounts)
            parameters.append(jsons)
            parameters.append(jsonbs)
            parameters.append(blobs)
            return parameters
        }()
        try await withConnection { connection in
            let rows = try await connection.execute(
                "SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)", parameters)
            #expect(rows.rowCount == 2 && rows.columnCount == 12)
            #expect((0..<12).allSatisfy { !rows.isNull(0, $0) && rows.isNull(1, $0) })
            #expect(try rows.int64(0, 0) == -8 && rows.int32(0, 1) == -4 && rows.int32(0, 2) == -2)
            #expect(try rows.bool(0, 3) && rows.string(0, 4) == "" && rows.eventID(0, 5) == id)
            #expect(try rows.timestamp(0, 6) == time && rows.day(0, 7) == 0)
            #expect(try rows.numeric(0, 8) == "123456789012345678901234567890.5")
            #expect(try rows.string(0, 9) == "[1]" && rows.string(0, 10) == "[1]" && rows.bytes(0, 11).isEmpty)
        }
    }

    @Test func aColumnThatIsEmptiedIsAnEmptyArrayAndCanBeFilledAgain() async throws {
        try await withConnection { connection in
            var column = Int64Array()
            column.append(1)
            column.appendNull()
            column.removeAll()
            let statement: Statement = "SELECT coalesce(sum(v), -1)::bigint, count(*) FROM unnest($1) AS v"
            let empty = try await connection.execute(statement, Parameters { $0.append(column) })
            #expect(try empty.int64(0, 0) == -1 && empty.int64(0, 1) == 0)
            column.append(5)
            let filled = try await connection.execute(statement, Parameters { $0.append(column) })
            #expect(try filled.int64(0, 0) == 5 && filled.int64(0, 1) == 1)
        }
    }

    @Test func aDecimalThatCannotBeEncodedLeavesTheColumnAsItWas() async throws {
        try await withConnection { connection in
            var column = NumericArray()
            column.append(Amount(coefficient: 15, scale: 1))
            #expect(throws: PostgresError.self) { try column.append(numeric: "12x") }
            column.append(coefficient: -2, scale: -3)
            let rows = try await connection.execute("SELECT unnest($1)", Parameters { $0.append(column) })
            #expect(try (0..<rows.rowCount).map { try rows.numeric($0, 0) } == ["1.5", "-2000"])
        }
    }

    /// Three forms of a number agree: the server's text, the server's binary form as we read it, and our binary form as
    /// the server reads it.
    @Test(arguments: [
        "0", "0.00", "1", "-1", "9999", "10000", "-0.0001", "0.00001000", "123456789.987654321", "1000000000000",
        "-99999999999999999999999999999999999999.99999", "0.000000000000000000001",
    ])
    func numericsAreTheServersOwn(_ text: String) async throws {
        try await withConnection { connection in
            var parameters = Parameters()
            try parameters.append(numeric: text)
            let rows = try await connection.execute(
                Statement("SELECT $1, $1::text, $1 = \(text)::numeric, \(text)::numeric"), parameters)
            #expect(try rows.numeric(0, 0) == text && rows.string(0, 1) == text)
            #expect(try rows.bool(0, 2) && rows.numeric(0, 3) == text)
        }
    }

    @Test func aTextWithANULIsTheEventsOwnFault() async throws {
        try await withConnection { connection in
            let error = await #expect(throws: PostgresError.self) {
                try await connection.execute("SELECT $1", Parameters { $0.append("a\0b") })
            }
            #expect(error?.kind == .permanent)
            try await connection.execute("SELECT 1")
        }
    }
}
