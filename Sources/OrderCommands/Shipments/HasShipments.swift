public import Commands
public import Postgres

/// Whether a parcel of an order was shipped. Only transactions that have locked the order change it.
public enum HasShipments: Fact {
    public static let absent = false

    public static func reads(_ keys: [String]) -> [(Statement, Parameters)] {
        var orders = TextArray()
        for key in keys { orders.append(key) }
        var parameters = Parameters()
        parameters.append(orders)
        return [(statement, parameters)]
    }

    private static let statement: Statement = """
        SELECT u.order_id FROM unnest($1) AS u(order_id)
        WHERE EXISTS (SELECT FROM shipments AS s WHERE s.order_id = u.order_id)
        """

    public static func values(_ results: ArraySlice<QueryResult>) throws -> [String: Bool] {
        guard let rows = results.last else { return [:] }
        return Dictionary(uniqueKeysWithValues: try (0..<rows.rowCount).map { (try rows.string($0, 0), true) })
    }
}
