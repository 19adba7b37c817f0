internal import Commands
internal import Events
internal import Postgres

/// The tenant of a known customer; nil if the customer is unknown or forgotten.
enum KnownCustomer: CachedFact {
    struct Owner: Hashable, Sendable {
        /// nil if the customer belongs to all tenants.
        let tenantID: String?

        /// Whether the tenant can create orders for the customer. Without tenants, `tenant` is nil.
        func allows(_ tenant: String?) -> Bool { tenantID == nil || tenantID == tenant }
    }

    static let name = "customer"
    static let absent: Owner? = nil

    static func isKept(_ owner: Owner?) -> Bool { owner != nil }

    static func reads(_ keys: [String]) -> [(Statement, Parameters)] {
        var customers = TextArray()
        for key in keys { customers.append(key) }
        var parameters = Parameters()
        parameters.append(customers)
        return [(statement, parameters)]
    }

    /// The lock prevents the customer from being deleted or forgotten before the order is committed.
    private static let statement: Statement = """
        SELECT customer_id, tenant_id, status FROM customers WHERE customer_id = ANY($1) ORDER BY customer_id FOR SHARE
        """

    static func values(_ results: ArraySlice<QueryResult>) throws -> [String: Owner?] {
        guard let rows = results.last else { return [:] }
        var values: [String: Owner?] = [:]
        for row in 0..<rows.rowCount where try rows.string(row, 2) == "registered" {
            values[try rows.string(row, 0)] = Owner(tenantID: try rows.optionalString(row, 1))
        }
        return values
    }
}

/// A customer's credit limit in a currency, and the amount owed. Customers without a limit have no value.
enum CreditStanding: Fact {
    struct Value: Sendable {
        var limit: DecimalAmount?
        var outstanding: DecimalAmount
    }

    static let absent = Value(limit: nil, outstanding: .zero)

    static func key(customer: String, _ currency: Currency) -> String { "\(currency.code) \(customer)" }

    static func reads(_ keys: [String]) -> [(Statement, Parameters)] {
        var customers = TextArray(), currencies = TextArray()
        for key in keys {
            currencies.append(String(key.prefix(3)))
            customers.append(String(key.dropFirst(4)))
        }
        var parameters = Parameters()
        parameters.append(customers)
        parameters.append(currencies)
        // A second statement reads the amount owed, because its snapshot is newer than the lock.
        return [(lock, parameters), (read, parameters)]
    }

    private static let lock: Statement = """
        SELECT 1 FROM customer_credit AS c JOIN unnest($1, $2) AS u(customer_id, currency)
            ON c.customer_id = u.customer_id AND c.currency = u.currency
        ORDER BY c.customer_id, c.currency FOR UPDATE OF c
        """

    private static let read: Statement = """
        SELECT c.currency, c.customer_id, c.credit_limit, (
            SELECT coalesce(sum(greatest(o.total_amount - coalesce((
                SELECT sum(p.amount) FROM payments AS p
                WHERE p.order_id = o.order_id AND p.status IN ('completed', 'refunded')), 0), 0)), 0)
            FROM orders AS o
            WHERE o.customer_id = c.customer_id AND o.status = 'confirmed' AND o.currency = c.currency)
        FROM customer_credit AS c JOIN unnest($1, $2) AS u(customer_id, currency)
            ON c.customer_id = u.customer_id AND c.currency = u.currency
        """

    static func values(_ results: ArraySlice<QueryResult>) throws -> [String: Value] {
        guard let rows = results.last else { return [:] }
        var values: [String: Value] = [:]
        for row in 0..<rows.rowCount {
            let (limit, limitScale) = try rows.decimal(row, 2)
            let (owed, owedScale) = try rows.decimal(row, 3)
            values["\(try rows.string(row, 0)) \(try rows.string(row, 1))"] = Value(
                limit: DecimalAmount(coefficient: limit, scale: limitScale),
                outstanding: DecimalAmount(coefficient: owed, scale: owedScale))
        }
        return values
    }
}
