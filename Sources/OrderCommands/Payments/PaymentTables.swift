public import Commands
internal import Events
public import Orders
public import Postgres
internal import StreamCore

/// Stores payments in the shop's table `payments`, and each refund in `payment_refunds`. A payment has the tenant of
/// its order.
public struct PaymentTables: Repository {
    public init() {}

    // MARK: reading

    public func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        var parameters = Parameters()
        parameters.append(keys)
        return [(locking ? Self.lock : Self.read, parameters)]
    }

    /// The demo shop refunds whole payments and stores no amount.
    private static let columns = """
        p.payment_id, o.tenant_id, p.order_id, p.amount, p.currency, p.method, p.version, p.authorized_at,
            p.authorized_event_id, p.completed_at, p.completed_event_id, p.failed_at, p.failed_event_id,
            p.failure_reason, p.refunded_at, p.refunded_event_id, p.refund_reason,
            coalesce(p.refunded_amount, CASE WHEN p.refunded_at IS NULL THEN 0 ELSE p.amount END),
            p.updated_at, p.last_event_id
        FROM payments AS p JOIN orders AS o ON o.order_id = p.order_id
        """

    /// A single statement is enough, because it returns the current row after it has waited for a lock.
    private static let lock = Statement(
        "SELECT \(columns) WHERE p.payment_id = ANY($1) ORDER BY p.payment_id FOR UPDATE OF p")

    private static let read = Statement("SELECT \(columns) WHERE p.payment_id = ANY($1)")

    public func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<PaymentState>] {
        guard let rows = results.last else { return [:] }
        var found: [String: Loaded<PaymentState>] = [:]
        for row in 0..<rows.rowCount {
            let state = try Self.state(rows, row)
            found[try rows.string(row, 0)] = Loaded(
                state, version: try rows.int64(row, 6), lastEventAt: state.last.at)
        }
        return found
    }

    private static func state(_ rows: QueryResult, _ row: Int) throws -> PaymentState {
        func amount(_ column: Int) throws -> DecimalAmount {
            let (coefficient, scale) = try rows.decimal(row, column)
            return DecimalAmount(coefficient: coefficient, scale: scale)
        }
        func moment(_ column: Int) throws -> EventMoment? {
            guard let at = try rows.optionalTimestamp(row, column) else { return nil }
            return EventMoment(at: at, eventID: try rows.eventID(row, column + 1))
        }
        func setback(_ column: Int) throws -> PaymentState.Setback? {
            let reason = try rows.optionalString(row, column + 2) ?? ""
            return try moment(column).map { PaymentState.Setback(moment: $0, reason: reason) }
        }
        guard let currency = Currency(try rows.string(row, 4)) else {
            throw StoredStateError("a payment has an unknown currency")
        }
        return PaymentState(
            tenantID: try rows.optionalString(row, 1), orderID: try rows.string(row, 2),
            money: Money(try amount(3), currency), method: try rows.optionalString(row, 5) ?? "",
            authorized: try moment(7), completed: try moment(9), failure: try setback(11), refund: try setback(14),
            refunded: try amount(17),
            last: EventMoment(at: try rows.timestamp(row, 18), eventID: try rows.eventID(row, 19)))
    }

    // MARK: writing

    public func writes(_ changes: [Change<PaymentDecider>]) -> [(Statement, Parameters)] {
        var created = PaymentRows(), changed = PaymentRows(), refunds = RefundRows()
        for change in changes {
            if let before = change.before {
                changed.append(change.id, change.after, expected: before.version)
            } else {
                created.append(change.id, change.after, expected: 0)
            }
            for event in change.events {
                if case .paymentRefunded(let refund) = event.payload { refunds.append(event.identity, refund) }
            }
        }
        return created.insertion + changed.update + refunds.insertion
    }
}
