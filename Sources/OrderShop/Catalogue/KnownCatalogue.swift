internal import Postgres

/// The products, stocks and customers in the tables before a load begins.
struct KnownCatalogue {
    /// The products, and whether they have their details.
    private(set) var products: [String: Bool] = [:]
    /// The products whose stock has received pieces.
    private(set) var stocks: Set<String> = []
    /// The customers, and whether they have events.
    private(set) var customers: [String: Bool] = [:]

    private static let customersAtOnce = 5_000

    /// Reads the tables. Before that, it migrates the counters of earlier versions.
    ///
    /// - Parameter count: the number of customers of the load.
    static func read(customers count: Int, on connection: PostgresConnection) async throws -> KnownCatalogue {
        var known = KnownCatalogue()
        try await adopt(connection)
        var rows = try await connection.execute("SELECT product_id, details ->> 'name' <> product_id FROM products")
        for row in 0..<rows.rowCount { known.products[try rows.string(row, 0)] = try rows.bool(row, 1) }
        rows = try await connection.execute("SELECT product_id FROM inventory WHERE on_hand > 0")
        for row in 0..<rows.rowCount { known.stocks.insert(try rows.string(row, 0)) }
        for first in stride(from: 1, through: count, by: customersAtOnce) {
            var ids = TextArray()
            for number in first...min(first + customersAtOnce - 1, count) {
                ids.append(Customers.customer(number: number).id)
            }
            var parameters = Parameters()
            parameters.append(ids)
            rows = try await connection.execute(
                "SELECT customer_id, version > 0 FROM customers WHERE customer_id = ANY($1)", parameters)
            for row in 0..<rows.rowCount { known.customers[try rows.string(row, 0)] = try rows.bool(row, 1) }
        }
        return known
    }

    /// Migrates the counters of earlier versions, which counted the events of these aggregates in a separate table. The
    /// sequences continue in the tables of the commands. A product's name is its id until a command gives it its
    /// details.
    private static func adopt(_ connection: PostgresConnection) async throws {
        try await connection.withTransaction { transaction in
            for statement in [products, stocks, customers] { try await transaction.execute(statement) }
        }
    }

    private static let products: Statement = """
        WITH counted AS (
            DELETE FROM shop_aggregates WHERE aggregate_type = 'Product' RETURNING aggregate_id, last_sequence
        )
        INSERT INTO products AS p (product_id, details, price, currency, status, version, updated_at, last_event_id)
        SELECT aggregate_id, json_build_object('name', aggregate_id, 'tags', '[]'::json), 0, 'EUR', 'listed',
            last_sequence, now(), gen_random_uuid()
        FROM counted ORDER BY aggregate_id
        ON CONFLICT (product_id) DO UPDATE SET version = greatest(p.version, EXCLUDED.version)
        """

    private static let stocks: Statement = """
        WITH counted AS (
            DELETE FROM shop_aggregates WHERE aggregate_type = 'Inventory' RETURNING aggregate_id, last_sequence
        )
        INSERT INTO inventory AS i (product_id, on_hand, reserved, version, updated_at, last_event_id)
        SELECT aggregate_id, 0, 0, last_sequence, now(), gen_random_uuid() FROM counted ORDER BY aggregate_id
        ON CONFLICT (product_id) DO UPDATE SET version = greatest(i.version, EXCLUDED.version)
        """

    private static let customers: Statement = """
        WITH counted AS (
            DELETE FROM shop_aggregates WHERE aggregate_type = 'Customer' RETURNING aggregate_id, last_sequence
        )
        UPDATE customers AS c SET
            version = greatest(c.version, n.last_sequence), updated_at = coalesce(c.updated_at, now()),
            last_event_id = coalesce(c.last_event_id, gen_random_uuid())
        FROM counted AS n WHERE c.customer_id = n.aggregate_id
        """
}
