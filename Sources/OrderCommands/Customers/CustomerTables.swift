public import Commands
public import Customers
internal import Events
internal import StreamCore

/// Stores customers in the shop's table `customers`, to which orders refer.
public struct CustomerTables: StateRepository {
    public typealias D = CustomerDecider

    public init() {}

    public static let table = StateTable<D>(
        "customers", key: "customer_id", noun: "a customer",
        columns: [
            .text("tenant_id") { $0.tenantID }.constant,
            .text("name") { $0.details.name },
            .text("email") { $0.details.email },
            .text("country") { $0.details.country },
            .text("status") { $0.status },
            .moment("updated_at", "last_event_id") { $0.last },
        ],
        lastEventAt: { $0.last?.at ?? Timestamp(microseconds: 0) },
        state: Self.state)

    private static func state(_ row: inout StateRow) throws -> CustomerState {
        CustomerState(
            tenantID: try row.optionalText(),
            details: CustomerDetails(name: try row.text(), email: try row.text(), country: try row.text()),
            isForgotten: try row.text() == "forgotten", last: try row.optionalMoment())
    }
}

extension CustomerState {
    /// The status in the table and for clients.
    var status: String { isForgotten ? "forgotten" : "registered" }
}
