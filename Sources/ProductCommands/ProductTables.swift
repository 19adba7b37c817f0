public import Commands
internal import Events
public import Postgres
public import Products
internal import StreamCore
internal import WireJSON

/// Stores the state of products in a table.
public struct ProductTables: Repository {
    public init() {}

    // MARK: reading

    public func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        var parameters = Parameters()
        parameters.append(keys)
        return [(locking ? Self.lock : Self.read, parameters)]
    }

    /// One statement is sufficient: after it has waited for a lock, it returns the current row.
    private static let lock: Statement = """
        SELECT product_id, tenant_id, details, price, currency, status, version, updated_at, last_event_id
        FROM products WHERE product_id = ANY($1) ORDER BY product_id FOR UPDATE
        """

    private static let read: Statement = """
        SELECT product_id, tenant_id, details, price, currency, status, version, updated_at, last_event_id
        FROM products WHERE product_id = ANY($1)
        """

    public func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<ProductState>] {
        guard let rows = results.last else { return [:] }
        var found: [String: Loaded<ProductState>] = [:]
        for row in 0..<rows.rowCount {
            guard let currency = Currency(try rows.string(row, 4)) else {
                throw StoredStateError("a product has a currency that does not exist")
            }
            let (coefficient, scale) = try rows.decimal(row, 3)
            let state = ProductState(
                tenantID: try rows.optionalString(row, 1), details: try Self.details(try rows.textBytes(row, 2)),
                price: Money(DecimalAmount(coefficient: coefficient, scale: scale), currency),
                isRetired: try rows.string(row, 5) == "retired",
                last: EventMoment(at: try rows.timestamp(row, 7), eventID: try rows.eventID(row, 8)))
            found[try rows.string(row, 0)] = Loaded(
                state, version: try rows.int64(row, 6), lastEventAt: state.last.at)
        }
        return found
    }

    private static func details(_ json: Span<UInt8>) throws -> ProductDetails {
        do throws(DecodeProblem) {
            var fields = try FieldReader(json)
            return try ProductDetails(reading: &fields)
        } catch {
            throw StoredStateError("the details of a product: \(error.located(in: json))")
        }
    }

    // MARK: writing

    public func writes(_ changes: [Change<ProductDecider>]) -> [(Statement, Parameters)] {
        var created = ProductRows(), changed = ProductRows()
        for change in changes {
            if let before = change.before {
                changed.append(change.id, change.after, expected: before.version)
            } else {
                created.append(change.id, change.after, expected: 0)
            }
        }
        return created.insertion + changed.update
    }
}

/// New rows of `products`, or changes of existing ones.
private struct ProductRows {
    private var ids = TextArray(), tenants = TextArray(), details = JSONArray(), prices = NumericArray()
    private var currencies = TextArray(), statuses = TextArray(), versions = Int64Array(), expected = Int64Array()
    private var updatedAt = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ id: String, _ product: Loaded<ProductState>, expected version: Int64) {
        let state = product.state
        ids.append(id)
        tenants.append(state.tenantID)
        var json = JSONWriter()
        json.beginObject()
        state.details.writeMembers(to: &json)
        json.endObject()
        details.append(json: json.span)
        prices.append(coefficient: state.price.amount.coefficient, scale: state.price.amount.scale)
        currencies.append(state.price.currency.code)
        statuses.append(state.status)
        versions.append(product.version)
        expected.append(version)
        updatedAt.append(state.last.at)
        eventIDs.append(state.last.eventID)
    }

    /// Empty if there are none.
    var insertion: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(tenants)
        appendState(to: &parameters)
        return [(Self.insertionStatement, parameters)]
    }

    private static let insertionStatement: Statement = """
        INSERT INTO products (product_id, tenant_id, details, price, currency, status, version, updated_at,
            last_event_id)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """

    /// Empty if there are none.
    var update: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(expected)
        appendState(to: &parameters)
        parameters.append(Int64(ids.count))
        return [(Self.updateStatement, parameters)]
    }

    private static let updateStatement: Statement = """
        WITH changed AS (
            UPDATE products AS p SET
                details = u.details, price = u.price, currency = u.currency, status = u.status, version = u.version,
                updated_at = u.updated_at, last_event_id = u.event_id
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
                AS u(product_id, expected, details, price, currency, status, version, updated_at, event_id)
            WHERE p.product_id = u.product_id AND p.version = u.expected
            RETURNING 1
        )
        SELECT commands_expect((SELECT count(*) FROM changed), $10, 'a product')
        """

    private func appendState(to parameters: inout Parameters) {
        parameters.append(details)
        parameters.append(prices)
        parameters.append(currencies)
        parameters.append(statuses)
        parameters.append(versions)
        parameters.append(updatedAt)
        parameters.append(eventIDs)
    }
}
