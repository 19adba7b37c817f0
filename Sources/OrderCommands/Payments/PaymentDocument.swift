internal import Commands
internal import Events
internal import Orders
internal import StreamCore
internal import WireJSON

/// The representation of a payment for clients.
enum PaymentDocument {
    static func json(_ paymentID: String, _ payment: Loaded<PaymentState>) -> [UInt8] {
        let state = payment.state
        var writer = JSONWriter(capacity: 512)
        writer.beginObject()
        writer.member("paymentId", paymentID)
        writer.member("orderId", state.orderID)
        writer.member("status", status(of: state))
        writer.members(of: state.money)
        writer.member("method", state.method)
        writer.member("refunded", state.refunded)
        let reasons: [(StaticString, String?)] = [
            ("failureReason", state.failure?.reason), ("refundReason", state.refund?.reason),
        ]
        for (name, reason) in reasons {
            writer.key(name)
            if let reason { writer.string(reason) } else { writer.null() }
        }
        let moments: [(StaticString, EventMoment?)] = [
            ("authorizedAt", state.authorized), ("completedAt", state.completed),
            ("failedAt", state.failure?.moment), ("refundedAt", state.refund?.moment),
        ]
        for (name, moment) in moments {
            writer.key(name)
            if let moment { writer.string(moment.at) } else { writer.null() }
        }
        writer.member("version", payment.version)
        writer.key("lastEventId")
        writer.string(state.last.eventID)
        writer.endObject()
        return writer.finish()
    }

    private static func status(of state: PaymentState) -> String {
        if state.refund == nil { return state.status.rawValue }
        return state.refunded < state.money.amount ? "partially_refunded" : "refunded"
    }
}
