internal import Commands
internal import Events
internal import InventoryCommands
internal import OrderCommands
internal import ProductCommands

/// A command about a product, its stock or a customer.
enum CatalogueCommand: Hashable, Sendable {
    case create(CreateProduct)
    case change(ChangeProduct)
    case changePrice(ChangeProductPrice)
    case rate(RateProduct)
    case receive(ReceiveStock)
    case reserve(ReserveStock)
    case ship(ShipStock)
    case register(RegisterCustomer)
    case changeCustomer(ChangeCustomer)

    static let domains = [ProductCommands.domain(.standard), InventoryCommands.domain, CustomerCommands.domain]

    /// The kind and id of the command's aggregate.
    var aggregate: String {
        switch self {
        case .create(let command): "product \(command.productID)"
        case .change(let command): "product \(command.productID)"
        case .changePrice(let command): "product \(command.productID)"
        case .rate(let command): "product \(command.productID)"
        case .receive(let command): "stock \(command.productID)"
        case .reserve(let command): "stock \(command.stock.productID)"
        case .ship(let command): "stock \(command.stock.productID)"
        case .register(let command): "customer \(command.customerID)"
        case .changeCustomer(let command): "customer \(command.customerID)"
        }
    }

    func send(to bus: CommandBus, _ request: CommandRequest) async throws(CommandFailure) -> CommandOutcome {
        switch self {
        case .create(let command): try await bus.send(command, request)
        case .change(let command): try await bus.send(command, request)
        case .changePrice(let command): try await bus.send(command, request)
        case .rate(let command): try await bus.send(command, request)
        case .receive(let command): try await bus.send(command, request)
        case .reserve(let command): try await bus.send(command, request)
        case .ship(let command): try await bus.send(command, request)
        case .register(let command): try await bus.send(command, request)
        case .changeCustomer(let command): try await bus.send(command, request)
        }
    }
}
