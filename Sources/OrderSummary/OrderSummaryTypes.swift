internal import Orders
internal import Postgres
internal import Projections
internal import StreamCore
internal import WireJSON

/// The composite types of the read model, and rows as records of them.
struct OrderSummaryTypes: Sendable {
    private let row: PostgresType
    private let rows: PostgresType
    private let created: PostgresType
    private let cancelled: PostgresType
    private let payment: PostgresType
    private let shipped: PostgresType
    private let delivered: PostgresType

    /// - Parameter result: of ``OrderSummaryStatements/types``.
    init(_ result: QueryResult) throws(PostgresError) {
        func type(_ column: Int) throws(PostgresError) -> PostgresType {
            PostgresType(oid: UInt32(truncatingIfNeeded: try result.int64(0, column)))
        }
        row = try type(0)
        rows = try type(1)
        created = try type(2)
        cancelled = try type(3)
        payment = try type(4)
        shipped = try type(5)
        delivered = try type(6)
    }

    /// The parameter of ``OrderSummaryStatements/merge``.
    ///
    /// - Parameter order: the places of the changes in the order in which their rows are to be locked.
    func parameters(_ changes: [OrderSummaryRow], _ order: [Int]) throws(EventFailure) -> Parameters {
        var records = RecordArray(of: row, as: rows, reservingBytes: changes.count * 600)
        for place in order {
            let total: DecimalAmount?
            do { total = try changes[place].items?.total() } catch {
                throw EventFailure("amount-overflow", "the order's total has more than 38 digits")
            }
            records.append { fields in append(changes[place], total: total, to: &fields) }
        }
        return Parameters { $0.append(records) }
    }

    /// The fields in the order of the table's columns; the last four are generated.
    private func append(_ change: OrderSummaryRow, total: DecimalAmount?, to fields: inout RecordFields) {
        fields.append(change.orderID)
        fields.append(change.version)
        fields.append(change.updatedAt)
        fields.append(change.lastEventID)
        fields.append(change.confirmedAt)
        fields.append(jsonb: change.items?.linesJSON())
        fields.append(jsonb: change.items?.removalsJSON())
        fields.append(change.items?.count)
        fields.append(total.map(Numeric.init))
        append(change.created, created, to: &fields) { fact, fields in
            fields.append(fact.customerID)
            fields.append(fact.currency.code)
            fields.append(jsonb: Self.json(fact.shippingAddress))
        }
        append(change.cancelled, cancelled, to: &fields) { fact, fields in
            fields.append(fact.reason)
            fields.append(fact.cancelledBy)
        }
        append(change.paid, to: &fields)
        append(change.failed, to: &fields)
        append(change.refunded, to: &fields)
        append(change.shipped, shipped, to: &fields) { fact, fields in
            fields.append(fact.shipmentID)
            fields.append(fact.carrier)
            fields.append(fact.trackingNumber)
        }
        append(change.delivered, delivered, to: &fields) { fact, fields in fields.append(fact.shipmentID) }
        for _ in 0..<3 { fields.appendNull(.text) }
        fields.appendNull(.bool)
    }

    private func append(_ register: Register<PaymentFact>?, to fields: inout RecordFields) {
        append(register, payment, to: &fields) { fact, fields in
            fields.append(fact.paymentID)
            fields.append(Numeric(fact.money.amount))
            fields.append(fact.money.currency.code)
            fields.append(fact.detail)
        }
    }

    private func append<Fact>(
        _ register: Register<Fact>?, _ type: PostgresType, to fields: inout RecordFields,
        _ write: (Fact, inout RecordFields) -> Void
    ) {
        guard let register else { return fields.appendNull(type) }
        fields.append(record: type) { fields in
            fields.append(register.at)
            fields.append(register.eventID)
            write(register.fact, &fields)
        }
    }

    private static func json(_ address: ShippingAddress) -> [UInt8] {
        var writer = JSONWriter()
        OrderEventEncoder.write(address, to: &writer)
        return writer.finish()
    }
}

/// A decimal on its way to `numeric`: the domain knows nothing of PostgreSQL, nor PostgreSQL's client of the domain.
private struct Numeric: PostgresDecimal {
    let coefficient: Int128
    let scale: Int

    init(_ amount: DecimalAmount) {
        coefficient = amount.coefficient
        scale = amount.scale
    }
}
