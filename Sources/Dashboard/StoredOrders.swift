internal import Events
internal import Orders
internal import Postgres
internal import StreamCore

/// Converts the rows from ``DashboardStatements/lockOrders`` to facts.
struct StoredOrders {
    private let result: QueryResult

    init(_ result: QueryResult) {
        self.result = result
    }

    var rowCount: Int { result.rowCount }

    /// The index of the order among the requested ones, from 0.
    func place(_ row: Int) throws -> Int { Int(try result.int64(row, 0)) - 1 }

    /// The facts without the lines, which are large and rarely needed.
    func facts(_ row: Int, orderID: String) throws -> OrderFacts {
        var facts = OrderFacts(orderID: orderID)
        if let at = try result.optionalTimestamp(row, 1) {
            guard let currency = Currency(utf8: try result.textBytes(row, 4)) else { throw StoredFactsError() }
            let fact = CreatedFact(customerID: try result.string(row, 3), currency: currency)
            let moment = EventMoment(at: at, eventID: try result.eventID(row, 2))
            facts.created = Register(EventStamp(sequence: try result.int64(row, 5), moment: moment), fact)
        }
        facts.confirmed = try instant(row, from: 6)
        facts.cancelled = try instant(row, from: 8)
        facts.firstShippedAt = try result.optionalTimestamp(row, 10)
        if !result.isNull(row, 12) {
            facts.payments = try PaymentFacts<Money>.payments(json: result.textBytes(row, 12))
        }
        if !result.isNull(row, 13) {
            facts.shipments = try ShipmentFacts<ShippedFact>.shipments(json: result.textBytes(row, 13))
        }
        return facts
    }

    func lines(_ row: Int) throws -> OrderLines? {
        result.isNull(row, 11) ? nil : try OrderLines(json: result.textBytes(row, 11))
    }

    private func instant(_ row: Int, from column: Int) throws -> OrderInstant? {
        guard let at = try result.optionalTimestamp(row, column) else { return nil }
        return OrderInstant(sequence: try result.int64(row, column + 1), at: at)
    }
}

/// The composite type of the orders' table, and the conversion of orders to records of it.
struct DashboardTypes: Sendable {
    private let row: PostgresType
    private let rows: PostgresType

    /// - Parameter result: the result of ``DashboardStatements/types``.
    init(_ result: QueryResult) throws(PostgresError) {
        row = PostgresType(oid: UInt32(truncatingIfNeeded: try result.int64(0, 0)))
        rows = PostgresType(oid: UInt32(truncatingIfNeeded: try result.int64(0, 1)))
    }

    /// An empty array for ``DashboardStatements/writeOrders`` or ``DashboardStatements/makeOrders``.
    ///
    /// - Parameter count: the number of rows for which memory is reserved.
    func rows(_ count: Int) -> RecordArray {
        RecordArray(of: row, as: rows, reservingBytes: count * 400)
    }

    /// Appends an order that has no row yet.
    func append(_ facts: OrderFacts, to rows: inout RecordArray) {
        append(facts, before: OrderFacts(orderID: facts.orderID), to: &rows)
    }

    /// Appends an order that was merged. Unchanged lines, payments and shipments are left out.
    ///
    /// The fields have the order of the table's columns.
    func append(_ facts: OrderFacts, before: OrderFacts, to rows: inout RecordArray) {
        let lines = facts.lines == before.lines ? nil : facts.lines
        let payments = facts.payments == before.payments ? nil : facts.payments
        let shipments = facts.shipments == before.shipments ? nil : facts.shipments
        rows.append { fields in
            fields.append(facts.orderID)
            fields.append(facts.created?.at)
            fields.append(facts.created?.eventID)
            fields.append(facts.created?.fact.customerID)
            fields.append(facts.created?.fact.currency.code)
            fields.append(facts.confirmed?.at)
            fields.append(facts.cancelled?.at)
            fields.append(facts.firstShippedAt)
            fields.append(utf8: lines?.json())
            fields.append(utf8: payments.map(PaymentFacts<Money>.json))
            fields.append(facts.created?.stamp.sequence ?? 0)
            fields.append(facts.confirmed?.sequence ?? 0)
            fields.append(facts.cancelled?.sequence ?? 0)
            fields.append(utf8: shipments.map(ShipmentFacts<ShippedFact>.json))
        }
    }
}
