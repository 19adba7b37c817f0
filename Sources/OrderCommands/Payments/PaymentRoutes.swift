public import Commands
public import Events
internal import Orders
internal import WireJSON

extension PaymentCommands {
    /// The domain of payments for a service.
    ///
    /// - Parameter currencies: the accepted currencies.
    public static func domain(_ currencies: CurrencyTable) -> CommandDomain {
        CommandDomain(
            "payments", migrationSets: OrderCommands.migrationSets, commands: all, handlers: handlers(currencies),
            repositories: [PaymentTables(), OrderTables()],
            openAPI: OpenAPIPart(
                paths: PackageResources.payments_paths_json, schemas: PackageResources.payments_schemas_json),
            routes: routes)
    }

    private static func routes(_ bus: CommandBus, _ source: String) -> [CommandRoute] {
        let payments = AggregateRoutes(resource, bus, source: source)
        return [
            payments.create { id, call throws(CommandProblem) in
                let fields = try read(call, [.orderID, .method])
                let payment = PaymentAuthorized(orderID: fields.orderID, money: fields.money, method: fields.method)
                return AuthorizePayment(paymentID: id, payment: payment)
            },
            payments.read(),
            payments.change("/capture") { id, call throws(CommandProblem) in
                CapturePayment(paymentID: id, money: try read(call, []).money)
            },
            payments.change("/fail") { id, call throws(CommandProblem) in
                FailPayment(paymentID: id, reason: try CommandForm.text(call, "reason"))
            },
            payments.change("/refund") { id, call throws(CommandProblem) in
                let fields = try read(call, [.reason])
                return RefundPayment(paymentID: id, money: fields.money, reason: fields.reason)
            },
        ]
    }

    /// The fields that a body has besides the amount and its currency.
    private struct Further: OptionSet {
        let rawValue: Int
        static let orderID = Further(rawValue: 1)
        static let method = Further(rawValue: 2)
        static let reason = Further(rawValue: 4)
    }

    private static func read(
        _ call: CommandCall, _ further: Further
    ) throws(CommandProblem) -> (money: Money, orderID: String, method: String, reason: String) {
        try CommandForm.read(call) { fields in
            var (amount, currency): (DecimalAmount?, Currency?) = (nil, nil)
            var (orderID, method, reason): (String?, String?, String?) = (nil, nil, nil)
            let start = try CommandForm.object(&fields) { key, fields in
                if fields.matches(key, "amount") {
                    amount = try fields.amount()
                } else if fields.matches(key, "currency") {
                    currency = try CommandForm.currency(&fields, else: PaymentRule.unknownCurrency)
                } else if further.contains(.orderID), fields.matches(key, "orderId") {
                    orderID = try fields.identity()
                } else if further.contains(.method), fields.matches(key, "method") {
                    method = try CommandForm.text(&fields)
                } else if further.contains(.reason), fields.matches(key, "reason") {
                    reason = try CommandForm.text(&fields)
                } else {
                    return false
                }
                return true
            }
            func value(_ text: String?, _ part: Further, _ name: StaticString) throws(DecodeProblem) -> String {
                further.contains(part) ? try FieldReader.required(text, name, in: start) : ""
            }
            let money = Money(
                try FieldReader.required(amount, "amount", in: start),
                try FieldReader.required(currency, "currency", in: start))
            return (
                money, try value(orderID, .orderID, "orderId"), try value(method, .method, "method"),
                try value(reason, .reason, "reason")
            )
        }
    }
}
