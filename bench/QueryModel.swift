import Foundation
import Postgres
import StreamCore

/// The read model of the query benches: 1,000,000 orders of 20,000 customers, one every 30 seconds of the last year.
/// The server itself writes the rows. All values of an order follow from its number, so requests can be derived from
/// numbers.
enum QueryModel {
    static let orders = 1_000_000
    static let customers = 20_000
    static let secondsBetweenOrders = 30
    static let perCustomer = orders / customers

    /// The time at which order 0 was created, in seconds since 1970: midnight, about a year ago.
    static let start: Int = {
        let today = Int(Timestamp.now.microseconds / 86_400_000_000)
        return (today - orders * secondsBetweenOrders / 86_400 - 1) * 86_400
    }()

    static func orderID(_ number: Int) -> String { "order-\(number)" }
    static func customerID(_ number: Int) -> String { "customer-\(number)" }

    static func seed(_ postgres: PostgresConfiguration) async throws {
        var unhurried = postgres
        unhurried.statementTimeoutMs = 900_000
        unhurried.settings["maintenance_work_mem"] = "512MB"
        let connection = try await PostgresConnection.connect(unhurried)
        // The indexes are created after all rows exist.
        let indexes = try await connection.execute(
            """
            SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
            WHERE indrelid = 'order_summary_rows'::regclass AND NOT indisprimary
            """)
        var rebuild = ""
        for row in 0..<indexes.rowCount {
            try await connection.execute(script: "DROP INDEX \(try indexes.string(row, 0))")
            rebuild += "\(try indexes.string(row, 1));"
        }
        try await connection.execute(script: insert, timeoutMs: 900_000)
        try await connection.execute(script: rebuild, timeoutMs: 900_000)
        try await connection.execute(script: "VACUUM (ANALYZE) order_summary_rows", timeoutMs: 900_000)
        try await connection.execute(script: "CHECKPOINT", timeoutMs: 900_000)
        await connection.close()
        say("\(orders) orders are in the read model")
    }

    /// One of ten orders is cancelled, five are delivered, and one each is shipped, paid, confirmed and created.
    private static let insert = """
        INSERT INTO order_summary_rows (order_id, version, updated_at, last_event_id, confirmed_at, items, item_count,
            total_amount, created, cancelled, paid, shipped, delivered)
        SELECT 'order-' || n, 3, at + interval '6 hours', md5('last' || n)::uuid,
            CASE WHEN n % 10 < 9 THEN at + interval '1 minute' END,
            jsonb_build_array(
                jsonb_build_object('productId', 'product-' || n % 500, 'name', 'Product ' || n % 500, 'quantity', 1,
                    'unitPrice', (amount - 0.5)::text, 'sequence', 1),
                jsonb_build_object('productId', 'product-' || (n + 7) % 500, 'name', 'Product ' || (n + 7) % 500,
                    'quantity', 1, 'unitPrice', '0.50', 'sequence', 1)),
            2, amount,
            ROW(at, md5('created' || n)::uuid, 'customer-' || n % \(customers), 'EUR',
                jsonb_build_object('name', 'Customer ' || n % \(customers), 'street', 'Street ' || n % 200,
                    'city', 'Hamburg', 'postalCode', '20095', 'country', 'DE'))::order_summary_created,
            CASE WHEN n % 10 = 0 THEN ROW(at + interval '2 minutes', md5('cancelled' || n)::uuid, 'changed my mind',
                'customer')::order_summary_cancelled END,
            CASE WHEN n % 10 BETWEEN 1 AND 7 THEN ROW(at + interval '3 minutes', md5('paid' || n)::uuid,
                'payment-' || n, amount, 'EUR', 'card')::order_summary_payment END,
            CASE WHEN n % 10 BETWEEN 1 AND 6 THEN ROW(at + interval '1 hour', md5('shipped' || n)::uuid,
                'shipment-' || n, 'DHL', 'JD' || n)::order_summary_shipped END,
            CASE WHEN n % 10 BETWEEN 1 AND 5 THEN ROW(at + interval '6 hours', md5('delivered' || n)::uuid,
                'shipment-' || n)::order_summary_delivered END
        FROM (SELECT n, to_timestamp(\(start) + n * \(secondsBetweenOrders)) AS at,
            round((n * 7919 % 100000 + 100)::numeric / 100, 2) AS amount
            FROM generate_series(0::bigint, \(orders - 1)) AS n) AS numbered
        """
}
