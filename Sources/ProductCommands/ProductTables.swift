public import Commands
internal import Events
public import Products
internal import StreamCore
internal import WireJSON

/// Stores the state of products in a table.
public struct ProductTables: StateRepository {
    public typealias D = ProductDecider

    public init() {}

    public static let table = StateTable<D>(
        "products", key: "product_id", noun: "a product",
        columns: [
            .text("tenant_id") { $0.tenantID }.constant,
            .json("details") { state, json in
                json.beginObject()
                state.details.writeMembers(to: &json)
                json.endObject()
            },
            .numeric("price") { $0.price.amount },
            .text("currency") { $0.price.currency.code },
            .text("status") { $0.status },
            .moment("updated_at", "last_event_id") { $0.last },
        ],
        lastEventAt: { $0.last.at },
        state: Self.state)

    private static func state(_ row: inout StateRow) throws -> ProductState {
        ProductState(
            tenantID: try row.optionalText(), details: try row.json(Self.details),
            price: Money(try row.numeric(), try row.currency(of: "a product")),
            isRetired: try row.text() == "retired", last: try row.moment())
    }

    private static func details(_ json: Span<UInt8>) throws -> ProductDetails {
        do throws(DecodeProblem) {
            var fields = try FieldReader(json)
            return try ProductDetails(reading: &fields)
        } catch {
            throw StoredStateError("the details of a product: \(error.located(in: json))")
        }
    }
}
