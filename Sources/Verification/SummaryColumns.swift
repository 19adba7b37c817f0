internal import Events
internal import Orders
internal import StreamCore

/// The columns of `order_summary` as texts: times in UTC with microseconds, numbers without trailing zeros, lines and
/// addresses in a fixed form. SQL expressions produce the same form from the read model's rows.
enum SummaryColumns {
    /// A column's name, its SQL expression, and its value according to an order's facts.
    private struct Column: Sendable {
        let name: String
        let query: String
        let value: @Sendable (OrderFacts) throws -> String?

        init(_ name: String, _ query: String? = nil, _ value: @escaping @Sendable (OrderFacts) throws -> String?) {
            self.name = name
            self.query = query ?? name
            self.value = value
        }
    }

    static let names = columns.map(\.name)

    /// The expressions for a SELECT from `order_summary`, all of type text.
    static let query = columns.map(\.query).joined(separator: ", ")

    /// The values according to the facts, in the order of ``names``; nil stands for NULL.
    ///
    /// - Throws: `DecimalOverflow`.
    static func values(of facts: OrderFacts) throws -> [String?] { try columns.map { try $0.value(facts) } }

    private static let columns: [Column] = [
        Column("customer_id") { $0.created?.value.customerID },
        Column("status") { $0.status },
        Column("payment_status") { $0.paymentStatus },
        Column("shipment_status") { $0.shipmentStatus },
        Column("item_count", "coalesce(item_count, 0)::text") { facts in
            String(facts.lines.reduce(0) { $0 + ($1.content?.quantity ?? 0) })
        },
        Column("total_amount", number("coalesce(total_amount, 0)")) { try text($0.total()) },
        Column("currency") { $0.created?.value.currency },
        Column("items", actualItems) { facts in text(facts.lines) },
        Column("shipping_address", actualAddress) { $0.created?.value.address },
        Column("cancellation_reason") { $0.cancelled?.value.reason },
        Column("cancelled_by") { $0.cancelled?.value.by },
        Column("refund_amount", number("refund_amount")) { text($0.lastPayment(.refunded)?.told.value.amount) },
        Column("refund_currency") { $0.lastPayment(.refunded)?.told.value.currency },
        Column("refund_reason") { $0.lastPayment(.refunded)?.told.value.detail },
        Column("payment_id") { facts in
            (facts.lastPayment(.completed) ?? facts.lastPayment(.refunded) ?? facts.lastPayment(.failed))?.id.text
        },
        Column("payment_amount", number("payment_amount")) { text($0.lastPayment(.completed)?.told.value.amount) },
        Column("payment_currency") { $0.lastPayment(.completed)?.told.value.currency },
        Column("payment_method") { $0.lastPayment(.completed)?.told.value.detail },
        Column("failed_payment_id") { $0.lastPayment(.failed)?.id.text },
        Column("payment_failure_reason") { $0.lastPayment(.failed)?.told.value.detail },
        Column("shipment_id") { $0.lastShipped?.id.text ?? $0.lastDelivered?.id.text },
        Column("carrier") { $0.lastShipped?.told.value.carrier },
        Column("tracking_number") { $0.lastShipped?.told.value.trackingNumber },
        Column("created_at", time("created_at")) { text($0.created?.at) },
        Column("confirmed_at", time("confirmed_at")) { text($0.confirmed?.at) },
        Column("cancelled_at", time("cancelled_at")) { text($0.cancelled?.at) },
        Column("paid_at", time("paid_at")) { text($0.lastPayment(.completed)?.told.at) },
        Column("payment_failed_at", time("payment_failed_at")) { text($0.lastPayment(.failed)?.told.at) },
        Column("refunded_at", time("refunded_at")) { text($0.lastPayment(.refunded)?.told.at) },
        Column("shipped_at", time("shipped_at")) { text($0.lastShipped?.told.at) },
        Column("delivered_at", time("delivered_at")) { text($0.lastDelivered?.told.at) },
        Column("updated_at", time("updated_at")) { text($0.latest?.at) },
        Column("version", "version::text") { String($0.seen.greatest) },
        Column("last_event_id", "last_event_id::text") { $0.latest?.eventID.description },
    ]

    // MARK: the forms

    static func time(_ column: String) -> String {
        "to_char(\(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    }

    static func number(_ column: String) -> String { "trim_scale(\(column))::text" }

    static func text(_ instant: Timestamp?) -> String? { instant?.description }

    static func text(_ amount: DecimalAmount?) -> String? { amount?.normalized.description }

    /// `product|name|quantity|price`, one line for each product, ordered by the bytes of the product ids.
    private static func text(_ lines: [LineFacts]) -> String? {
        let texts = lines.compactMap { line in
            line.content.map { "\(line.productID.text)|\($0.name)|\($0.quantity)|\($0.price.normalized)" }
        }
        return texts.isEmpty ? nil : texts.joined(separator: "\n")
    }

    private static let actualItems = """
        (SELECT string_agg(concat_ws('|', i ->> 'productId', i ->> 'name', i ->> 'quantity',
                trim_scale((i ->> 'unitPrice')::numeric)), E'\\n' ORDER BY i ->> 'productId' COLLATE "C")
         FROM jsonb_array_elements(items) AS i)
        """
    private static let actualAddress = address("shipping_address::jsonb")

    /// An SQL expression for the five fields of a JSON address, one line each.
    static func address(_ column: String) -> String {
        let fields = ["name", "street", "city", "postalCode", "country"].map { "(\(column) ->> '\($0)')" }
        return fields.joined(separator: " || E'\\n' || ")
    }
}

extension OrderFacts {
    /// The sum of the lines.
    ///
    /// - Throws: `DecimalOverflow`.
    func total() throws(DecimalOverflow) -> DecimalAmount {
        var total = DecimalAmount.zero
        for line in lines {
            guard let content = line.content else { continue }
            total = try total.adding(content.price.multiplied(by: content.quantity))
        }
        return total
    }

    /// Each payment with its last completion, failure and refund. The columns of `order_summary` show only the latest
    /// payment.
    var paymentsText: String {
        payments.map { payment in
            let fates = PaymentFacts.Fate.allCases.compactMap { fate in
                payment[fate].map {
                    "\(fate) \($0.at) \($0.value.amount.normalized) \($0.value.currency) \($0.value.detail)"
                }
            }
            return "\(payment.id.text): \(fates.joined(separator: ", "))"
        }.joined(separator: "\n")
    }

    var shipmentsText: String {
        shipments.map { shipment in
            var events: [String] = []
            if let told = shipment.created {
                events.append("created \(told.at) \(told.value.carrier) \(told.value.trackingNumber)")
            }
            if let told = shipment.delivered { events.append("delivered \(told.at)") }
            return "\(shipment.id.text): \(events.joined(separator: ", "))"
        }.joined(separator: "\n")
    }
}
