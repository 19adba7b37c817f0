public import Commands
public import Customers
internal import Events
public import Postgres
internal import StreamCore

/// Stores customers in the shop's table `customers`, to which orders refer.
public struct CustomerTables: Repository {
    public init() {}

    // MARK: reading

    public func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        var parameters = Parameters()
        parameters.append(keys)
        return [(locking ? Self.lock : Self.read, parameters)]
    }

    /// A single statement is enough, because it returns the current row after it has waited for a lock.
    private static let lock: Statement = """
        SELECT customer_id, tenant_id, name, email, country, status, version, updated_at, last_event_id
        FROM customers WHERE customer_id = ANY($1) ORDER BY customer_id FOR UPDATE
        """

    private static let read: Statement = """
        SELECT customer_id, tenant_id, name, email, country, status, version, updated_at, last_event_id
        FROM customers WHERE customer_id = ANY($1)
        """

    public func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<CustomerState>] {
        guard let rows = results.last else { return [:] }
        var found: [String: Loaded<CustomerState>] = [:]
        for row in 0..<rows.rowCount {
            let details = CustomerDetails(
                name: try rows.string(row, 2), email: try rows.string(row, 3), country: try rows.string(row, 4))
            var last: EventMoment?
            if let at = try rows.optionalTimestamp(row, 7) {
                last = EventMoment(at: at, eventID: try rows.eventID(row, 8))
            }
            let state = CustomerState(
                tenantID: try rows.optionalString(row, 1), details: details,
                isForgotten: try rows.string(row, 5) == "forgotten", last: last)
            found[try rows.string(row, 0)] = Loaded(
                state, version: try rows.int64(row, 6), lastEventAt: last?.at ?? Timestamp(microseconds: 0))
        }
        return found
    }

    // MARK: writing

    public func writes(_ changes: [Change<CustomerDecider>]) -> [(Statement, Parameters)] {
        var created = CustomerRows(), changed = CustomerRows()
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

/// New rows of `customers`, or changes of existing ones.
private struct CustomerRows {
    private var ids = TextArray(), tenants = TextArray(), names = TextArray(), emails = TextArray()
    private var countries = TextArray(), statuses = TextArray(), versions = Int64Array(), expected = Int64Array()
    private var updatedAt = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ id: String, _ customer: Loaded<CustomerState>, expected version: Int64) {
        let state = customer.state
        ids.append(id)
        tenants.append(state.tenantID)
        names.append(state.details.name)
        emails.append(state.details.email)
        countries.append(state.details.country)
        statuses.append(state.status)
        versions.append(customer.version)
        expected.append(version)
        updatedAt.append(state.last?.at)
        eventIDs.append(state.last?.eventID)
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
        INSERT INTO customers (customer_id, tenant_id, name, email, country, status, version, updated_at, last_event_id)
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
            UPDATE customers AS c SET
                name = u.name, email = u.email, country = u.country, status = u.status, version = u.version,
                updated_at = u.updated_at, last_event_id = u.event_id
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
                AS u(customer_id, expected, name, email, country, status, version, updated_at, event_id)
            WHERE c.customer_id = u.customer_id AND c.version = u.expected
            RETURNING 1
        )
        SELECT commands_expect((SELECT count(*) FROM changed), $10, 'a customer')
        """

    private func appendState(to parameters: inout Parameters) {
        parameters.append(names)
        parameters.append(emails)
        parameters.append(countries)
        parameters.append(statuses)
        parameters.append(versions)
        parameters.append(updatedAt)
        parameters.append(eventIDs)
    }
}

extension CustomerState {
    /// The status in the table and for clients.
    var status: String { isForgotten ? "forgotten" : "registered" }
}
