import AccountCommands
import Commands
import Events
import Foundation
import Logging
import Migrations
import OrderShop
import Postgres

/// A million transfers between a hundred accounts, by two buses that act like two processes. The bench measures the
/// transfers a second, and checks that no money is lost or created. `TRANSFERS` sets another number.
enum TransferBench {
    static let name = "transfers"

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        let count = ProcessInfo.processInfo.environment["TRANSFERS"].flatMap { Int($0) } ?? 1_000_000
        guard count >= 1 else { throw BenchError("TRANSFERS must be at least 1") }
        try await Migrator(servers.postgres).up(AccountCommands.migrationSets)
        let trial = TransferTrial(transfers: count, clients: 256)
        let buses = try (0..<2).map { _ in
            var limits = CommandBusConfiguration()
            limits.timeoutMs = 120_000
            limits.maxAttempts = 100
            limits.logLevel = .debug
            return try CommandBus(
                limits, postgres: servers.postgres, domains: [AccountCommands.domain(.standard)],
                logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
        }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for bus in buses { group.addTask { await bus.run() } }
            defer { for bus in buses { bus.stop() } }
            try await trial.open(buses[0])
            let start = ContinuousClock.now
            let totals = try await trial.run(buses)
            var result = BenchResult(name: name)
            result.seconds = (ContinuousClock.now - start) / .seconds(1)
            try await trial.check(totals, buses[0], servers.postgres)
            result.events = count
            result.eventsPerS = result.seconds.map { Double(count) / $0 }
            let counts = "\(totals.accepted) transfers, \(totals.refused) refused, \(totals.repeated) repeated"
            say("\(counts): all money is there")
            return result
        }
    }
}
