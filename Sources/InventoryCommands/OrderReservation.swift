public import Commands
public import Postgres

/// The number of pieces of a product that are reserved for an order.
///
/// A row changes only together with the version of the product's stock. The command's transaction locks the stock
/// before it reads the row.
public enum OrderReservation: Fact {
    public static let absent: Int64 = 0

    /// Separates the ids in a key. Ids contain no NUL.
    private static let separator: Character = "\0"

    /// The key of a product and an order; the quantity does not matter.
    public static func key(_ stock: OrderStock) -> String { key(stock.productID, stock.orderID) }

    private static func key(_ productID: String, _ orderID: String) -> String { "\(productID)\(separator)\(orderID)" }

    public static func reads(_ keys: [String]) -> [(Statement, Parameters)] {
        var products = TextArray(), orders = TextArray()
        for key in keys {
            let parts = key.split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false)
            products.append(String(parts[0]))
            orders.append(String(parts[1]))
        }
        var parameters = Parameters()
        parameters.append(products)
        parameters.append(orders)
        return [(statement, parameters)]
    }

    private static let statement: Statement = """
        SELECT r.product_id, r.order_id, r.quantity
        FROM inventory_reservations AS r JOIN unnest($1, $2) AS u(product_id, order_id)
            ON r.product_id = u.product_id AND r.order_id = u.order_id
        """

    public static func values(_ results: ArraySlice<QueryResult>) throws -> [String: Int64] {
        guard let rows = results.last else { return [:] }
        var values: [String: Int64] = [:]
        for row in 0..<rows.rowCount {
            values[key(try rows.string(row, 0), try rows.string(row, 1))] = try rows.int64(row, 2)
        }
        return values
    }
}
