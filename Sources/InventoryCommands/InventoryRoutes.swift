public import Commands
internal import Events
internal import Inventory
internal import WireJSON

extension InventoryCommands {
    /// The domain of stock for a service.
    public static let domain = CommandDomain(
        "inventory", migrationSets: migrationSets, commands: all, handlers: handlers,
        repositories: [InventoryTables()],
        openAPI: OpenAPIPart(
            paths: PackageResources.openapi_paths_json, schemas: PackageResources.openapi_schemas_json),
        routes: routes)

    private static func routes(_ bus: CommandBus, _ source: String) -> [CommandRoute] {
        let inventory = AggregateRoutes(resource, bus, source: source)
        return [
            inventory.read(),
            inventory.change("/receipts") { id, call throws(CommandProblem) in
                let (quantity, _) = try movement(call, hasOrder: false)
                return ReceiveStock(productID: id, quantity: quantity)
            },
            inventory.change("/reservations") { id, call throws(CommandProblem) in
                ReserveStock(try stock(id, call))
            },
            inventory.change("/releases") { id, call throws(CommandProblem) in ReleaseStock(try stock(id, call)) },
            inventory.change("/shipments") { id, call throws(CommandProblem) in ShipStock(try stock(id, call)) },
        ]
    }

    private static func stock(_ id: String, _ call: CommandCall) throws(CommandProblem) -> OrderStock {
        let (quantity, orderID) = try movement(call, hasOrder: true)
        return OrderStock(productID: id, orderID: orderID, quantity: quantity)
    }

    /// Reads the body of a request: a number of pieces, and for most requests an order.
    private static func movement(
        _ call: CommandCall, hasOrder: Bool
    ) throws(CommandProblem) -> (quantity: Int32, orderID: String) {
        try CommandForm.read(call) { fields in
            var (quantity, orderID): (Int32?, String?) = (nil, nil)
            let start = try CommandForm.object(&fields) { key, fields in
                if fields.matches(key, "quantity") {
                    quantity = try CommandForm.quantity(&fields, else: InventoryRule.invalidQuantity)
                } else if hasOrder, fields.matches(key, "orderId") {
                    orderID = try fields.identity()
                } else {
                    return false
                }
                return true
            }
            return (
                try FieldReader.required(quantity, "quantity", in: start),
                hasOrder ? try FieldReader.required(orderID, "orderId", in: start) : ""
            )
        }
    }
}
