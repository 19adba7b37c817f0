internal import Orders
internal import Postgres
internal import StreamCore

/// Rows that ``DashboardStatements/lockOrders`` answered, as facts.
struct StoredOrders {
    private let result: QueryResult

    init(_ result: QueryResult) {
        self.result = result
    }

    var rowCount: Int { result.rowCount }

    /// The order's place among those asked for, from 0.
    func place(_ row: Int) throws -> Int { Int(try result.int64(row, 0)) - 1 }

    /// All but the lines, which are large and mostly of no interest.
    func facts(_ row: Int, orderID: String) throws -> OrderFacts {
        var facts = OrderFacts(orderID: orderID)
        if let at = try result.optionalTimestamp(row, 1) {
            guard let currency = Currency(utf8: try result.textBytes(row, 4)) else { throw StoredFactsError() }
            let fact = CreatedFact(customerID: try result.string(row, 3), currency: currency)
            facts.created = Register(at: at, eventID: try result.eventID(row, 2), fact: fact)
        }
        facts.confirmedAt = try result.optionalTimestamp(row, 5)
        facts.cancelledAt = try result.optionalTimestamp(row, 6)
        facts.firstShippedAt = try result.optionalTimestamp(row, 7)
        facts.shipped = try shipment(row, from: 8)
        facts.delivered = try shipment(row, from: 11)
        if !result.isNull(row, 15) { facts.payments = try PaymentFacts.payments(json: result.textBytes(row, 15)) }
        return facts
    }

    func lines(_ row: Int) throws -> OrderLines? {
        result.isNull(row, 14) ? nil : try OrderLines(json: result.textBytes(row, 14))
    }

    private func shipment(_ row: Int, from column: Int) throws -> Register<ShipmentFact>? {
        guard let at = try result.optionalTimestamp(row, column) else { return nil }
        return Register(
            at: at, eventID: try result.eventID(row, column + 1),
            fact: ShipmentFact(shipmentID: try result.string(row, column + 2)))
    }
}

/// The composite type of the orders' table, and orders as records of it.
struct DashboardTypes: Sendable {
    private let row: PostgresType
    private let rows: PostgresType

    /// - Parameter result: of ``DashboardStatements/types``.
    init(_ result: QueryResult) throws(PostgresError) {
        row = PostgresType(oid: UInt32(truncatingIfNeeded: try result.int64(0, 0)))
        rows = PostgresType(oid: UInt32(truncatingIfNeeded: try result.int64(0, 1)))
    }

    /// No rows yet, for ``DashboardStatements/writeOrders`` or ``DashboardStatements/makeOrders``.
    ///
    /// - Parameter count: how many to make room for.
    func rows(_ count: Int) -> RecordArray {
        RecordArray(of: row, as: rows, reservingBytes: count * 400)
    }

    /// An order that has no row yet.
    func append(_ facts: OrderFacts, to rows: inout RecordArray) {
        append(facts, lines: facts.lines, payments: facts.payments.isEmpty ? nil : facts.payments, to: &rows)
    }

    /// An order that was merged. Lines and payments that are as they were are left alone.
    func append(_ facts: OrderFacts, before: OrderFacts, to rows: inout RecordArray) {
        append(
            facts, lines: facts.lines == before.lines ? nil : facts.lines,
            payments: facts.payments == before.payments ? nil : facts.payments, to: &rows)
    }

    /// The fields in the order of the table's columns.
    private func append(
        _ facts: OrderFacts, lines: OrderLines?, payments: [PaymentFacts]?, to rows: inout RecordArray
    ) {
        rows.append { fields in
            fields.append(facts.orderID)
            fields.append(facts.created?.at)
            fields.append(facts.created?.eventID)
            fields.append(facts.created?.fact.customerID)
            fields.append(facts.created?.fact.currency.code)
            fields.append(facts.confirmedAt)
            fields.append(facts.cancelledAt)
            fields.append(facts.firstShippedAt)
            Self.append(facts.shipped, to: &fields)
            Self.append(facts.delivered, to: &fields)
            fields.append(utf8: lines?.json())
            fields.append(utf8: payments.map(PaymentFacts.json))
        }
    }

    private static func append(_ shipment: Register<ShipmentFact>?, to fields: inout RecordFields) {
        fields.append(shipment?.at)
        fields.append(shipment?.eventID)
        fields.append(shipment?.fact.shipmentID)
    }
}
