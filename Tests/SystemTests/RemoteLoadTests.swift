import Foundation
import Glibc
import TestKit
import Testing

/// `millrace load --via http` against a real command-service.
@Suite struct RemoteLoadTests {
    private static let disordered = """
        SELECT count(*) FROM (
            SELECT sequence, row_number() OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY id) AS place
            FROM outbox) AS o WHERE sequence <> place
        """

    private static func load(_ service: String, _ arguments: String...) throws -> Executable {
        try Executable(
            "millrace",
            ["load", "--via", "http", "--url", service, "--rate", "0", "--customers", "20", "--quiet"] + arguments)
    }

    /// The numbers in the line of totals.
    private static func totals(_ load: Executable) throws -> (orders: Int64, complete: Int64, events: Int64) {
        let line = load.output
        let numbers = try #require(
            line.firstMatch(of: #/(\d+) orders .*?(\d+) complete.*? (\d+) events/#), "\(line) \(load.errors)")
        return (Int64(numbers.1) ?? -1, Int64(numbers.2) ?? -1, Int64(numbers.3) ?? -1)
    }

    private static func tokens(_ text: String) throws -> String {
        let file = NSTemporaryDirectory() + "millrace-tokens-\(UUID().uuidString)"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        return file
    }

    @Test func theOrdersOfAShopAreCommands() async throws {
        let file = try Self.tokens("token-of-the-load\n")
        defer { try? FileManager.default.removeItem(atPath: file) }
        try await Pipeline.with { pipeline in
            let service = try await RunningService(
                pipeline.commandService(["http.token_files": file, "orders.require_known_products": "true"]),
                serving: "commands")
            let url = "http://127.0.0.1:\(service.port)"
            let refused = try Self.load(url, "--orders", "5")
            #expect(try await refused.exitCode() == 78, "\(refused.errors)")
            #expect(refused.errors.contains("--token-file"), "\(refused.errors)")
            for round in 1...2 {
                let load = try Self.load(url, "--orders", "40", "--token-file", file)
                #expect(try await load.exitCode() == 0, "\(load.errors)")
                #expect(!(load.output + load.errors).contains("token-of-the-load"))
                let totals = try Self.totals(load)
                #expect(totals.complete == 40 && totals.orders > 30, "\(load.output)")
                #expect(try await pipeline.number("SELECT count(*) FROM orders") >= Int64(30 * round))
            }
            // The second run uses the customers and products of the first run, so there are no more than the shop has.
            #expect((1...20).contains(try await pipeline.number("SELECT count(*) FROM customers")))
            #expect((1...400).contains(try await pipeline.number("SELECT count(*) FROM products")))
            #expect(try await pipeline.number(Self.disordered) == 0)
            for type in ["OrderConfirmed", "PaymentCompleted", "ShipmentDelivered"] {
                let count = "SELECT count(*) FROM outbox WHERE event_type = '\(type)'"
                #expect(try await pipeline.number(count) > 10, "\(type)")
            }
            try await service.process.stop()
        }
    }

    /// The service assigns the ids of the bank's accounts. A kill of the service does not repeat a movement.
    @Test func theMovementsOfABankAreCommands() async throws {
        try await Pipeline.with { pipeline in
            let settings = ["commands.domains": "accounts"]
            var service = try await RunningService(pipeline.commandService(settings), serving: "commands")
            let port = service.port
            let load = try Executable(
                "millrace",
                [
                    "load", "--domain", "bank", "--via", "http", "--url", "http://127.0.0.1:\(port)", "--rate", "0",
                    "--accounts", "20", "--movements", "300",
                ])
            try await eventually { try await pipeline.number("SELECT count(*) FROM outbox") > 100 }
            service.process.signal(SIGKILL)
            _ = try await service.process.exitCode()
            service = try await RunningService(
                pipeline.commandService(settings.merging(["http.port": "\(port)"]) { $1 }), serving: "commands")
            #expect(try await load.exitCode() == 0, "\(load.errors)")
            let line = load.output
            let numbers = try #require(
                line.firstMatch(of: #/(\d+) accounts, (\d+) movements, (\d+) refused/#), "\(line) \(load.errors)")
            let (movements, refused) = (Int64(numbers.2) ?? -1, Int64(numbers.3) ?? -1)
            #expect(numbers.1 == "20" && movements + refused == 300 && movements > 100)
            let opened = "SELECT count(*) FROM event_streams WHERE aggregate_type = 'Account'"
            #expect(try await pipeline.number(opened) == 20)
            // A transfer has one event for each of its two accounts.
            let moved = """
                SELECT count(*) FILTER (WHERE event_type <> 'AccountOpened')
                    - count(*) FILTER (WHERE event_type = 'TransferCompleted') / 2 FROM outbox
                """
            #expect(try await pipeline.number(moved) == movements)
            #expect(try await pipeline.number(Self.disordered) == 0)
            try await service.process.stop()
        }
    }

    /// The service is killed and restarted. Each command is carried out exactly once, and the load continues.
    @Test func aKilledServiceCostsNothingAndDoublesNothing() async throws {
        try await Pipeline.with { pipeline in
            var service = try await RunningService(pipeline.commandService(), serving: "commands")
            let port = service.port
            let load = try Self.load("http://127.0.0.1:\(port)", "--orders", "60")
            for kill in 1...2 {
                try await eventually { try await pipeline.number("SELECT count(*) FROM orders") > 15 * kill }
                service.process.signal(SIGKILL)
                _ = try await service.process.exitCode()
                service = try await RunningService(
                    pipeline.commandService(["http.port": "\(port)"]), serving: "commands")
            }
            #expect(try await load.exitCode() == 0, "\(load.errors)")
            let totals = try Self.totals(load)
            #expect(totals.complete == 60)
            #expect(try await pipeline.number("SELECT count(*) FROM orders") == totals.orders)
            let events = """
                SELECT count(*) FROM outbox WHERE aggregate_type IN ('Order', 'Payment', 'Shipment')
                """
            #expect(try await pipeline.number(events) == totals.events)
            #expect(try await pipeline.number(Self.disordered) == 0)
            try await service.process.stop()
        }
    }

    @Test func whatCannotWorkIsSaidAtOnce() async throws {
        let nobody = try Self.load("http://127.0.0.1:9", "--orders", "1")
        #expect(try await nobody.exitCode() == 69, "\(nobody.errors)")
        #expect(nobody.errors.contains("does not answer"), "\(nobody.errors)")
        for (arguments, text) in [
            (["--via", "http", "--url", "http://me:secret@127.0.0.1"], "--token-file"),
            (["--via", "http", "--url", "ftp://127.0.0.1"], "http://host:port"),
            (["--via", "http", "--url", "http://127.0.0.1", "--batch", "2"], "--batch"),
            (["--via", "http", "--domain", "bank", "--orders", "3"], "--domain shop"),
            (["--token-file", "x"], "--via http"),
        ] {
            let load = try Executable("millrace", ["load"] + arguments)
            #expect(try await load.exitCode() == 64, "\(arguments): \(load.errors)")
            #expect(load.errors.contains(text), "\(arguments): \(load.errors)")
            #expect(!load.errors.contains("secret@"), "\(load.errors)")
        }
    }
}
