public import Commands
internal import Customers
internal import Events
internal import StreamCore
internal import WireJSON

extension CustomerCommands {
    /// The domain of customers for a service.
    public static let domain = CommandDomain(
        "customers", migrationSets: OrderCommands.migrationSets, commands: all, handlers: handlers,
        repositories: [CustomerTables()],
        openAPI: OpenAPIPart(
            paths: PackageResources.customers_paths_json, schemas: PackageResources.customers_schemas_json),
        routes: routes)

    private static func routes(_ bus: CommandBus, _ source: String) -> [CommandRoute] {
        let customers = AggregateRoutes(resource, bus, source: source)
        return [
            customers.create { id, call throws(CommandProblem) in
                RegisterCustomer(customerID: id, details: try CommandForm.read(call) { try details(&$0) })
            },
            customers.read(),
            customers.change("/details") { id, call throws(CommandProblem) in
                ChangeCustomer(customerID: id, details: try CommandForm.read(call) { try details(&$0) })
            },
            customers.change("/forget") { id, call throws(CommandProblem) in
                try CommandForm.requireEmpty(call)
                return ForgetCustomer(customerID: id)
            },
        ]
    }

    private static func details(_ fields: inout FieldReader) throws -> CustomerDetails {
        var (name, email, country): (String?, String?, String?) = (nil, nil, nil)
        let start = try CommandForm.object(&fields) { key, fields in
            if fields.matches(key, "name") {
                name = try CommandForm.text(&fields)
            } else if fields.matches(key, "email") {
                email = try CommandForm.text(&fields)
            } else if fields.matches(key, "country") {
                country = try CommandForm.text(&fields)
            } else {
                return false
            }
            return true
        }
        return CustomerDetails(
            name: try FieldReader.required(name, "name", in: start),
            email: try FieldReader.required(email, "email", in: start),
            country: try FieldReader.required(country, "country", in: start))
    }
}

/// The representation of a customer for clients.
enum CustomerDocument {
    static func json(_ customerID: String, _ customer: Loaded<CustomerState>) -> [UInt8] {
        let state = customer.state
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("customerId", customerID)
        writer.member("status", state.status)
        state.details.writeMembers(to: &writer)
        writer.key("updatedAt")
        if let last = state.last { writer.string(last.at) } else { writer.null() }
        writer.member("version", customer.version)
        writer.key("lastEventId")
        if let last = state.last { writer.string(last.eventID) } else { writer.null() }
        writer.endObject()
        return writer.finish()
    }
}
