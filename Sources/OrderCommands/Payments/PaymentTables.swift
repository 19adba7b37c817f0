public import Commands
internal import Events
public import Orders
public import Postgres
internal import StreamCore

/// Stores payments in the shop's table `payments`, and each refund in `payment_refunds`. A payment has the tenant of
/// its order, which never changes.
public struct PaymentTables: StateRepository {
    public typealias D = PaymentDecider

    public init() {}

    public static let table = StateTable<D>(
        "payments", key: "payment_id", noun: "a payment", join: "JOIN orders AS o ON o.order_id = t.order_id",
        columns: [
            .joined("o.tenant_id"),
            .text("order_id") { $0.orderID }.constant,
            // In the table, a payment has the status `refunded` after its first refund.
            .text("status") { $0.refund == nil ? $0.status.rawValue : "refunded" }.derived,
            .numeric("amount") { $0.money.amount },
            .text("currency") { $0.money.currency.code }.constant,
            .text("method") { $0.method },
            .moment("authorized_at", "authorized_event_id") { $0.authorized },
            .moment("completed_at", "completed_event_id") { $0.completed },
            .moment("failed_at", "failed_event_id") { $0.failure?.moment },
            .text("failure_reason") { $0.failure?.reason },
            .moment("refunded_at", "refunded_event_id") { $0.refund?.moment },
            .text("refund_reason") { $0.refund?.reason },
            // The demo shop refunds whole payments and stores no amount.
            .numeric("refunded_amount") { $0.refunded }.read(
                as: "coalesce(t.refunded_amount, CASE WHEN t.refunded_at IS NULL THEN 0 ELSE t.amount END)"),
            .moment("updated_at", "last_event_id") { $0.last },
        ],
        lastEventAt: { $0.last.at },
        state: Self.state)

    private static func state(_ row: inout StateRow) throws -> PaymentState {
        PaymentState(
            tenantID: try row.optionalText(), orderID: try row.text(),
            money: Money(try row.numeric(), try row.currency(of: "a payment")),
            method: try row.optionalText() ?? "", authorized: try row.optionalMoment(),
            completed: try row.optionalMoment(), failure: try row.setback(), refund: try row.setback(),
            refunded: try row.numeric(), last: try row.moment())
    }

    public func writes(_ changes: [Change<PaymentDecider>]) -> [(Statement, Parameters)] {
        var refunds = RefundRows()
        for change in changes {
            for event in change.events {
                if case .paymentRefunded(let refund) = event.payload { refunds.append(event.identity, refund) }
            }
        }
        return Self.table.writes(changes) + refunds.insertion
    }
}

extension StateRow {
    /// Reads three columns: the two of a moment, and a reason.
    fileprivate mutating func setback() throws -> PaymentState.Setback? {
        let (moment, reason) = (try optionalMoment(), try optionalText())
        return moment.map { PaymentState.Setback(moment: $0, reason: reason ?? "") }
    }
}

/// New rows of `payment_refunds`.
private struct RefundRows {
    private var ids = TextArray(), sequences = Int64Array(), amounts = NumericArray(), reasons = TextArray()
    private var times = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ identity: EventIdentity, _ refund: PaymentSetback) {
        ids.append(identity.aggregateID)
        sequences.append(identity.sequence)
        amounts.append(coefficient: refund.money.amount.coefficient, scale: refund.money.amount.scale)
        reasons.append(refund.reason)
        times.append(identity.timestamp)
        eventIDs.append(identity.eventID)
    }

    /// Empty if there are none.
    var insertion: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(sequences)
        parameters.append(amounts)
        parameters.append(reasons)
        parameters.append(times)
        parameters.append(eventIDs)
        return [(Self.statement, parameters)]
    }

    private static let statement: Statement = """
        INSERT INTO payment_refunds (payment_id, sequence, amount, reason, refunded_at, event_id)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
        """
}
