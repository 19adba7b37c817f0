public import Commands
public import Postgres

/// A product for the rules of other domains; nil if it is not in the catalogue.
public enum KnownProduct: CachedFact {
    public struct Entry: Hashable, Sendable {
        /// Nil if the product belongs to all tenants.
        public let tenantID: String?
        public var isRetired: Bool

        /// Whether a tenant can use the product. Without tenants, `tenant` is nil.
        public func isVisible(to tenant: String?) -> Bool { tenantID == nil || tenantID == tenant }
    }

    public static let name = "product"
    public static let absent: Entry? = nil

    /// A retired product is not cached. The next command that names it reads the database.
    public static func isKept(_ entry: Entry?) -> Bool { entry?.isRetired == false }

    public static func reads(_ keys: [String]) -> [(Statement, Parameters)] {
        var products = TextArray()
        for key in keys { products.append(key) }
        var parameters = Parameters()
        parameters.append(products)
        return [(statement, parameters)]
    }

    /// The lock prevents the product from being retired before the transaction ends.
    private static let statement: Statement = """
        SELECT product_id, tenant_id, status FROM products WHERE product_id = ANY($1) ORDER BY product_id FOR SHARE
        """

    public static func values(_ results: ArraySlice<QueryResult>) throws -> [String: Entry?] {
        guard let rows = results.last else { return [:] }
        var values: [String: Entry?] = [:]
        for row in 0..<rows.rowCount {
            values[try rows.string(row, 0)] = Entry(
                tenantID: try rows.optionalString(row, 1), isRetired: try rows.string(row, 2) == "retired")
        }
        return values
    }
}
