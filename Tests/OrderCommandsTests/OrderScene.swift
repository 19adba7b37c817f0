import Commands
import Events
import Logging
import OrderCommands
import Orders
import Postgres
import TestKit

/// A schema with the shop's tables, three customers and a bus that runs.
struct OrderScene {
    let database: PostgresConfiguration
    let bus: CommandBus
    let connection: PostgresConnection

    static func bus(_ database: PostgresConfiguration) throws -> CommandBus {
        var configuration = CommandBusConfiguration()
        configuration.connections = 2
        configuration.timeoutMs = 120_000
        configuration.maxAttempts = 100
        return try CommandBus(
            configuration, postgres: database, commands: OrderCommands.all,
            handlers: OrderCommands.handlers(OrderPolicy()), repositories: [OrderTables()],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    static func with(_ body: (OrderScene) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: OrderCommands.migrationSets) { database in
            let connection = try await PostgresConnection.connect(database)
            try await connection.execute(
                script: """
                    INSERT INTO customers SELECT 'c' || n, 'name', 'mail', 'DE' FROM generate_series(1, 3) AS n;
                    INSERT INTO customer_credit VALUES ('c2', 'EUR', 100);
                    """)
            let bus = try bus(database)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await bus.run() }
                defer { bus.stop() }
                try await body(OrderScene(database: database, bus: bus, connection: connection))
            }
            await connection.close()
        }
    }

    /// The answer: `version` or the rule's name.
    func send(_ command: some Command, _ request: CommandRequest = CommandRequest()) async throws -> String {
        switch try await bus.send(command, request).verdict {
        case .accepted(let result): "\(result.version)"
        case .refused(let refusal): refusal.rule
        }
    }

    func create(_ id: String, customer: String = "c1", _ lines: [OrderLine]) -> CreateOrder {
        CreateOrder(
            orderID: id,
            order: OrderCreated(
                customerID: customer, currency: OrderRulesTests.euro, items: lines,
                shippingAddress: OrderRulesTests.address))
    }

    func number(_ sql: String) async throws -> Int64 {
        try await connection.execute(.unprepared(sql)).int64(0, 0)
    }
}
