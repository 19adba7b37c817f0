internal import Events
internal import ProductCommands
internal import Products
internal import Synchronization
internal import WireJSON

/// The ids that command-service has assigned to the shop's customers and products. Each of them is created when an
/// order first names it. The idempotency key is the same in all runs, so runs share customers and products while the
/// service stores the answers.
final class RemoteNames: Sendable {
    private let client: CommandServiceClient
    private let known = Mutex<[String: String]>([:])
    private static let products = Dictionary(
        uniqueKeysWithValues: Catalogue.standard.products.map { ($0.id, $0) })

    init(_ client: CommandServiceClient) {
        self.client = client
    }

    /// - Returns: nil if the load was stopped.
    func customer(_ id: String, unless isStopped: () -> Bool) async throws -> String? {
        guard let number = Int(id.drop { !$0.isNumber }) else { return id }
        let customer = Customers.customer(number: number)
        let body = JSONWriter.object { writer in
            writer.member("name", customer.name)
            writer.member("email", customer.email)
            writer.member("country", customer.country)
        }
        return try await name(of: id, "/v1/customers", body, unless: isStopped)
    }

    /// - Returns: nil if the load was stopped.
    func product(_ id: String, unless isStopped: () -> Bool) async throws -> String? {
        guard let product = Self.products[id],
            case .create(let command) = CataloguePlan.creation(of: product)
        else { return id }
        let body = JSONWriter.object { writer in
            command.details.writeMembers(to: &writer)
            command.price.writeAsPrice(to: &writer)
        }
        return try await name(of: id, "/v1/products", body, unless: isStopped)
    }

    private func name(
        of id: String, _ path: String, _ body: [UInt8], unless isStopped: () -> Bool
    ) async throws -> String? {
        if let found = known.withLock({ $0[id] }) { return found }
        let command = RemoteCommand(path: path, body: body, key: "load-\(id)")
        let name: String
        switch try await client.send(command, unless: isStopped) {
        case .accepted(let given): name = given ?? id
        // The service does not have this domain. Another service may have it, or a load that writes into the tables.
        case .absent: name = id
        case .refused(let rule):
            throw CommandServiceClient.Failure(code: .refused, description: "POST \(path) is refused: \(rule)")
        case .stopped: return nil
        }
        known.withLock { $0[id] = name }
        return name
    }
}
