internal import Commands
internal import Events
internal import Orders
internal import Postgres
internal import StreamCore

// The columns that a transaction writes about payments, one type for each table.

/// New rows of `payments`, or changes of existing ones.
struct PaymentRows {
    private var ids = TextArray(), orderIDs = TextArray(), statuses = TextArray(), amounts = NumericArray()
    private var currencies = TextArray(), methods = TextArray(), versions = Int64Array(), expected = Int64Array()
    private var authorized = MomentColumns(), completed = MomentColumns(), failed = MomentColumns()
    private var refunded = MomentColumns(), last = MomentColumns()
    private var failureReasons = TextArray(), refundReasons = TextArray(), refundedAmounts = NumericArray()

    mutating func append(_ id: String, _ payment: Loaded<PaymentState>, expected version: Int64) {
        let state = payment.state
        ids.append(id)
        orderIDs.append(state.orderID)
        // In the table, a payment has the status `refunded` after its first refund.
        statuses.append(state.refund == nil ? state.status.rawValue : "refunded")
        amounts.append(coefficient: state.money.amount.coefficient, scale: state.money.amount.scale)
        currencies.append(state.money.currency.code)
        methods.append(state.method)
        versions.append(payment.version)
        expected.append(version)
        authorized.append(state.authorized)
        completed.append(state.completed)
        failed.append(state.failure?.moment)
        failureReasons.append(state.failure?.reason)
        refunded.append(state.refund?.moment)
        refundReasons.append(state.refund?.reason)
        refundedAmounts.append(coefficient: state.refunded.coefficient, scale: state.refunded.scale)
        last.append(state.last)
    }

    /// Empty if there are none.
    var insertion: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(orderIDs)
        parameters.append(currencies)
        appendState(to: &parameters)
        return [(Self.insertionStatement, parameters)]
    }

    private static let insertionStatement = Statement(
        """
        INSERT INTO payments (payment_id, order_id, currency, \(stateColumns))
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
        """)

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

    private static let updateStatement = Statement(
        """
        WITH changed AS (
            UPDATE payments AS p SET (\(stateColumns)) = (
                SELECT u.status, u.amount, u.method, u.version, u.authorized_at, u.authorized_event_id, u.completed_at,
                    u.completed_event_id, u.failed_at, u.failed_event_id, u.failure_reason, u.refunded_at,
                    u.refunded_event_id, u.refund_reason, u.refunded_amount, u.updated_at, u.last_event_id)
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
                AS u(payment_id, expected, \(stateColumns))
            WHERE p.payment_id = u.payment_id AND p.version = u.expected
            RETURNING 1
        )
        SELECT commands_expect((SELECT count(*) FROM changed), $20, 'a payment')
        """)

    private static let stateColumns = """
        status, amount, method, version, authorized_at, authorized_event_id, completed_at, completed_event_id,
        failed_at, failed_event_id, failure_reason, refunded_at, refunded_event_id, refund_reason, refunded_amount,
        updated_at, last_event_id
        """

    private func appendState(to parameters: inout Parameters) {
        parameters.append(statuses)
        parameters.append(amounts)
        parameters.append(methods)
        parameters.append(versions)
        authorized.append(to: &parameters)
        completed.append(to: &parameters)
        failed.append(to: &parameters)
        parameters.append(failureReasons)
        refunded.append(to: &parameters)
        parameters.append(refundReasons)
        parameters.append(refundedAmounts)
        last.append(to: &parameters)
    }
}

/// The columns with the time and the event of a change.
private struct MomentColumns {
    private var times = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ moment: EventMoment?) {
        times.append(moment?.at)
        eventIDs.append(moment?.eventID)
    }

    func append(to parameters: inout Parameters) {
        parameters.append(times)
        parameters.append(eventIDs)
    }
}

/// New rows of `payment_refunds`.
struct RefundRows {
    private var ids = TextArray(), sequences = Int64Array(), amounts = NumericArray(), reasons = TextArray()
    private var moments = MomentColumns()

    mutating func append(_ identity: EventIdentity, _ refund: PaymentSetback) {
        ids.append(identity.aggregateID)
        sequences.append(identity.sequence)
        amounts.append(coefficient: refund.money.amount.coefficient, scale: refund.money.amount.scale)
        reasons.append(refund.reason)
        moments.append(EventMoment(at: identity.timestamp, eventID: identity.eventID))
    }

    /// Empty if there are none.
    var insertion: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(sequences)
        parameters.append(amounts)
        parameters.append(reasons)
        moments.append(to: &parameters)
        return [(Self.statement, parameters)]
    }

    private static let statement: Statement = """
        INSERT INTO payment_refunds (payment_id, sequence, amount, reason, refunded_at, event_id)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
        """
}
