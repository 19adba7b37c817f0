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
            let currency = try Currency(result.string(row, 4)).orThrow()
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

extension Optional {
    fileprivate func orThrow() throws(StoredFactsError) -> Wrapped {
        guard let self else { throw StoredFactsError() }
        return self
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

    /// The parameter of ``DashboardStatements/writeOrders``.
    func parameters(_ orders: [ChangedOrder]) -> Parameters {
        var records = RecordArray(of: row, as: rows, reservingBytes: orders.count * 400)
        for order in orders {
            records.append { fields in Self.append(order, to: &fields) }
        }
        return Parameters { $0.append(records) }
    }

    /// The fields in the order of the table's columns.
    private static func append(_ order: ChangedOrder, to fields: inout RecordFields) {
        let facts = order.facts
        fields.append(facts.orderID)
        fields.append(facts.created?.at)
        fields.append(facts.created?.eventID)
        fields.append(facts.created?.fact.customerID)
        fields.append(facts.created?.fact.currency.code)
        fields.append(facts.confirmedAt)
        fields.append(facts.cancelledAt)
        fields.append(facts.firstShippedAt)
        append(facts.shipped, to: &fields)
        append(facts.delivered, to: &fields)
        fields.append(order.changesLines ? (facts.lines?.json()).map { String(decoding: $0, as: UTF8.self) } : nil)
        fields.append(
            order.changesPayments ? String(decoding: PaymentFacts.json(facts.payments), as: UTF8.self) : nil)
    }

    private static func append(_ shipment: Register<ShipmentFact>?, to fields: inout RecordFields) {
        fields.append(shipment?.at)
        fields.append(shipment?.eventID)
        fields.append(shipment?.fact.shipmentID)
    }
}

/// An order whose row is to be written.
struct ChangedOrder {
    let facts: OrderFacts
    /// Whether the columns of that name change; they stay as they are otherwise.
    let changesLines: Bool
    let changesPayments: Bool

    /// An order that has no row yet.
    init(new facts: OrderFacts) {
        self.facts = facts
        changesLines = true
        changesPayments = !facts.payments.isEmpty
    }

    init(_ facts: OrderFacts, before: OrderFacts) {
        self.facts = facts
        changesLines = facts.lines != before.lines
        changesPayments = facts.payments != before.payments
    }
}
