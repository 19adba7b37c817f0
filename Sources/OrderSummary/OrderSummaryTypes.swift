internal import Events
internal import Orders
internal import Postgres
internal import Projections
internal import StreamCore
internal import WireJSON

/// The composite types of the read model, and the conversion of rows to records of them.
struct OrderSummaryTypes: Sendable {
    private let row: PostgresType
    private let rows: PostgresType
    private let created: PostgresType
    private let cancelled: PostgresType
    private let payment: PostgresType
    private let shipped: PostgresType
    private let delivered: PostgresType
    private let moment: PostgresType
    private let stamp: PostgresType
    private let paymentFact: PostgresType
    private let paymentFacts: PostgresType
    private let shipmentFact: PostgresType
    private let shipmentFacts: PostgresType

    /// Selects the OIDs of the types that records contain, in the order of the fields above.
    static let statement: Statement = {
        let names = [
            "_rows", "_rows[]", "_created", "_cancelled", "_payment", "_shipped", "_delivered", "_moment", "_stamp",
            "_payment_fact", "_payment_fact[]", "_shipment_fact", "_shipment_fact[]",
        ]
        return Statement(
            "SELECT " + names.map { "'order_summary\($0)'::regtype::oid::int8" }.joined(separator: ", "))
    }()

    /// - Parameter result: the result of ``statement``.
    init(_ result: QueryResult) throws(PostgresError) {
        func type(_ column: Int) throws(PostgresError) -> PostgresType {
            PostgresType(oid: UInt32(truncatingIfNeeded: try result.int64(0, column)))
        }
        (row, rows) = (try type(0), try type(1))
        (created, cancelled, payment) = (try type(2), try type(3), try type(4))
        (shipped, delivered) = (try type(5), try type(6))
        (moment, stamp) = (try type(7), try type(8))
        (paymentFact, paymentFacts) = (try type(9), try type(10))
        (shipmentFact, shipmentFacts) = (try type(11), try type(12))
    }

    /// The parameter of ``OrderSummaryStatements/merge``.
    ///
    /// - Parameters:
    ///   - changes: the changes.
    ///   - order: the indexes of the changes in the order in which their rows are to be locked.
    func parameters(_ changes: [OrderSummaryRow], _ order: [Int]) throws(EventFailure) -> Parameters {
        var records = RecordArray(of: row, as: rows, reservingBytes: changes.count * 800)
        for place in order {
            let total: DecimalAmount?
            do { total = try changes[place].items?.total() } catch {
                throw EventFailure("amount_overflow", "the order's total has more than 38 digits")
            }
            records.append { fields in append(changes[place], total: total, to: &fields) }
        }
        return Parameters { $0.append(records) }
    }

    /// Appends the fields in the order of the table's columns. The last four columns are generated.
    private func append(_ change: OrderSummaryRow, total: DecimalAmount?, to fields: inout RecordFields) {
        let latest = change.lastMoment
        fields.append(change.orderID)
        fields.append(change.version)
        fields.append(latest?.at)
        fields.append(latest?.eventID)
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
        appendFacts(of: change, to: &fields)
        for _ in 0..<3 { fields.appendNull(.text) }
        fields.appendNull(.bool)
    }

    /// Appends the facts that merging needs besides those that are shown.
    private func appendFacts(of change: OrderSummaryRow, to fields: inout RecordFields) {
        append(change.last?.moment, to: &fields)
        append(change.payments.lastMoment, to: &fields)
        append(change.shipments.lastMoment, to: &fields)
        fields.append(change.created?.stamp.sequence ?? 0)
        fields.append(change.cancelled?.stamp.sequence ?? 0)
        if let confirmed = change.confirmed {
            fields.append(record: stamp) { Self.append(confirmed, to: &$0) }
        } else {
            fields.appendNull(stamp)
        }
        if change.payments.isEmpty {
            fields.appendNull(paymentFacts)
        } else {
            fields.append(records: facts(change.payments))
        }
        if change.shipments.isEmpty {
            fields.appendNull(shipmentFacts)
        } else {
            fields.append(records: facts(change.shipments))
        }
        fields.append(Int64(change.unrefundedPayments))
        fields.append(Int64(change.undeliveredShipments))
    }

    private func facts(_ payments: AggregateMap<PaymentFacts<PaymentFact>>) -> RecordArray {
        var records = RecordArray(of: paymentFact, as: paymentFacts)
        func append(_ fate: String, _ register: Register<PaymentFact>?) {
            guard let register else { return }
            records.append { fields in
                fields.append(register.fact.paymentID)
                fields.append(fate)
                Self.append(register.stamp, to: &fields)
                fields.append(Numeric(register.fact.money.amount))
                fields.append(register.fact.money.currency.code)
                fields.append(register.fact.detail)
            }
        }
        for payment in payments.all {
            append("completed", payment.completed)
            append("failed", payment.failed)
            for refund in payment.refunds { append("refunded", refund) }
        }
        return records
    }

    private func facts(_ shipments: AggregateMap<ShipmentFacts<ShippedFact>>) -> RecordArray {
        var records = RecordArray(of: shipmentFact, as: shipmentFacts)
        func append(_ fate: String, of id: String, _ stamp: EventStamp?, _ fact: ShippedFact?) {
            guard let stamp else { return }
            records.append { fields in
                fields.append(id)
                fields.append(fate)
                Self.append(stamp, to: &fields)
                fields.append(fact?.carrier)
                fields.append(fact?.trackingNumber)
            }
        }
        for shipment in shipments.all {
            append("created", of: shipment.id, shipment.created?.stamp, shipment.created?.fact)
            append("delivered", of: shipment.id, shipment.delivered, nil)
        }
        return records
    }

    private static func append(_ stamp: EventStamp, to fields: inout RecordFields) {
        fields.append(stamp.sequence)
        fields.append(stamp.moment.at)
        fields.append(stamp.moment.eventID)
    }

    private func append(_ moment: EventMoment?, to fields: inout RecordFields) {
        guard let moment else { return fields.appendNull(self.moment) }
        fields.append(record: self.moment) { fields in
            fields.append(moment.at)
            fields.append(moment.eventID)
        }
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
        address.write(to: &writer)
        return writer.finish()
    }
}

/// Converts a decimal to `numeric`. The domain does not depend on PostgreSQL, and the client does not depend on the
/// domain.
private struct Numeric: PostgresDecimal {
    let coefficient: Int128
    let scale: Int

    init(_ amount: DecimalAmount) {
        coefficient = amount.coefficient
        scale = amount.scale
    }
}
