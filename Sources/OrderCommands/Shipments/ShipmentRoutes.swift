public import Commands
internal import Events
internal import Orders
internal import WireJSON

extension ShipmentCommands {
    /// The domain of shipments for a service.
    public static let domain = CommandDomain(
        "shipments", migrationSets: OrderCommands.migrationSets, commands: all, handlers: handlers,
        repositories: [ShipmentTables(), OrderTables()],
        openAPI: OpenAPIPart(
            paths: PackageResources.shipments_paths_json, schemas: PackageResources.shipments_schemas_json),
        routes: routes)

    private static func routes(_ bus: CommandBus, _ source: String) -> [CommandRoute] {
        let shipments = AggregateRoutes(resource, bus, source: source)
        return [
            shipments.create { id, call throws(CommandProblem) in
                CreateShipment(shipmentID: id, parcel: try CommandForm.read(call) { try parcel(&$0) })
            },
            shipments.read(),
            shipments.change("/deliver") { id, call throws(CommandProblem) in
                try CommandForm.requireEmpty(call)
                return DeliverShipment(shipmentID: id)
            },
        ]
    }

    private static func parcel(_ fields: inout FieldReader) throws -> ShipmentCreated {
        var (orderID, carrier, trackingNumber): (String?, String?, String?) = (nil, nil, nil)
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "orderId") {
                orderID = try fields.identity()
            } else if fields.matches(key, "carrier") {
                carrier = try CommandForm.text(&fields)
            } else if fields.matches(key, "trackingNumber") {
                trackingNumber = try CommandForm.text(&fields)
            } else {
                return false
            }
            return true
        }
        return ShipmentCreated(
            orderID: try FieldReader.required(orderID, "orderId", in: start),
            carrier: try FieldReader.required(carrier, "carrier", in: start),
            trackingNumber: try FieldReader.required(trackingNumber, "trackingNumber", in: start))
    }
}
