import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct ConnectionTests {
    @Test func insertsByArraysInATransaction() async throws {
        try await TestDatabase.withSchema { configuration in
            let connection = try await PostgresConnection.connect(configuration)
            try await connection.execute(script: "CREATE TABLE t (id bigint, name text)")
            var ids = Int64Array()
            var names = TextArray()
            for id in 1...100 as ClosedRange<Int64> {
                ids.append(id)
                names.append(id % 3 == 0 ? nil : "n\(id)")
            }
            try await connection.withTransaction { transaction in
                let parameters = Parameters {
                    $0.append(ids)
                    $0.append(names)
                }
                let result = try await transaction.execute(
                    "INSERT INTO t SELECT * FROM unnest($1, $2)", parameters)
                #expect(result.affectedRows == 100)
            }
            let rows = try await connection.execute("SELECT id, name FROM t ORDER BY id")
            #expect(rows.rowCount == 100)
            #expect(try rows.int64(99, 0) == 100)
            #expect(rows.isNull(2, 1))
            #expect(try rows.string(3, 1) == "n4")
            await connection.close()
        }
    }
}
