import Postgres

/// Rows of about 700 bytes for the outbox: orders of one to four lines, as a shop would write them.
enum OutboxRows {
    /// Inserts `count` rows of 5,000 aggregates with one transaction on the server. A checkpoint then writes them to
    /// the disk, so that the next measurement does not include these writes.
    static func load(_ count: Int, into postgres: PostgresConfiguration) async throws {
        var unhurried = postgres
        unhurried.statementTimeoutMs = 600_000
        let connection = try await PostgresConnection.connect(unhurried)
        try await connection.execute(script: insert(count), timeoutMs: 600_000)
        try await connection.execute(script: "CHECKPOINT", timeoutMs: 600_000)
        await connection.close()
    }

    private static func insert(_ count: Int) -> String {
        """
        INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, version, correlation_id, metadata, payload)
        SELECT 'OrderCreated', 'Order', 'order-' || lpad((i % 5000)::text, 8, '0'), i / 5000 + 1, 2,
               gen_random_uuid()::text, ('{"source":"bench","userId":"user-' || i % 997 || '"}')::json,
               ('{"customerId":"customer-' || i % 20000 || '","currency":"EUR","items":['
                || (SELECT string_agg('{"productId":"product-' || (i * 7 + n) % 500 || '","name":"Product '
                                      || md5((i + n)::text) || '","quantity":' || n || ',"unitPrice":'
                                      || ((i * 13 + n) % 9000 + 100) / 100.0 || '}', ',')
                    FROM generate_series(1, 3) n)
                || '],"shippingAddress":{"name":"Customer ' || i % 20000 || '","street":"' || md5(i::text)
                || ' Street ' || i % 200 || '","city":"Hamburg","postalCode":"20095","country":"DE"}}')::json
        FROM generate_series(1, \(count)) i
        """
    }
}
