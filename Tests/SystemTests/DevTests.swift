import EmbeddedKafka
import Foundation
import FoundationNetworking
import Glibc
import Postgres
import TestKit
import Testing

/// `millrace dev` as a process.
@Suite struct DevTests {
    /// A killed process cannot clean up, so the processes that it started must detect its end.
    @Test func whatItStartedEndsWithIt() async throws {
        try await TestSlots.hold(3) {
            let data = "/tmp/millrace-test-dev-" + String(UInt64.random(in: .min ... .max), radix: 36)
            defer { try? FileManager.default.removeItem(atPath: data) }
            let dev = try Executable("millrace", ["dev", "--data", data, "--partitions", "1"])
            try await eventually { dev.output.contains("/health/ready") }
            // The server, its supervisor, and the daemons.
            try await eventually { Self.processes(mentioning: data).count >= 4 }
            dev.signal(SIGKILL)
            _ = try await dev.exitCode()
            try await eventually { Self.processes(mentioning: data).isEmpty }
        }
    }

    /// Runs the commands of the README: all daemons with a load, and `verify` in another terminal. The second session
    /// uses the data of the first one, but its new Kafka does not contain the events of the old orders.
    @Test func whatItPlaysIsVerifiedWhileItRuns() async throws {
        try await TestSlots.hold(3) {
            let data = "/tmp/millrace-test-dev-" + String(UInt64.random(in: .min ... .max), radix: 36)
            defer { try? FileManager.default.removeItem(atPath: data) }
            for session in 1...2 {
                let dev = try Executable("millrace", ["dev", "--data", data, "--partitions", "2", "--load", "20"])
                try await eventually { dev.output.contains("/health/ready") }
                let environment = try Self.environment(data)
                let database = try PostgresConfiguration(url: #require(environment["DATABASE_URL"]))
                try await eventually { try await Self.hasOrders(database, atLeast: 10 * session) }
                for _ in 1...2 {
                    let verify = try Executable("millrace", ["verify", "--wait", "120s"], environment: environment)
                    let code = try await verify.exitCode()
                    #expect(code == 0, "\(session): \(verify.output) \(verify.errors)")
                    #expect(verify.output.contains("the topics match the write model") == (session == 1))
                    #expect(verify.output.contains("dashboard_customers: compared"))
                }
                dev.signal(SIGINT)
                #expect(try await dev.exitCode() == 0, "\(dev.output) \(dev.errors)")
            }
        }
    }

    /// Runs a folder of SQL in addition to the other projections, and answers its query.
    @Test func aFolderOfSQLIsRunToo() async throws {
        try await TestSlots.hold(3) {
            let data = "/tmp/millrace-test-dev-" + String(UInt64.random(in: .min ... .max), radix: 36)
            defer { try? FileManager.default.removeItem(atPath: data) }
            let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "projections/product-stats").path
            let dev = try Executable(
                "millrace", ["dev", "--data", data, "--partitions", "2", "--load", "20", "--projection", folder])
            try await eventually { dev.output.contains("/health/ready") }
            let service = try #require(Self.environment(data)["QUERY_SERVICE_URL"])
            let url = try #require(URL(string: service + "/v1/q/best-sellers?limit=1"))
            try await eventually {
                guard let answer = try? await URLSession.shared.data(from: url).0 else { return false }
                return String(decoding: answer, as: UTF8.self).contains("{\"rows\":[{\"product_id\":")
            }
            dev.signal(SIGINT)
            #expect(try await dev.exitCode() == 0, "\(dev.output) \(dev.errors)")
        }
    }

    /// Runs what `make run` runs: the load fills the projections of all folders in the repository, and the verification
    /// finds no difference.
    @Test func theLoadFillsAllFolders() async throws {
        try await TestSlots.hold(3) {
            let data = "/tmp/millrace-test-dev-" + String(UInt64.random(in: .min ... .max), radix: 36)
            defer { try? FileManager.default.removeItem(atPath: data) }
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "projections")
            let folders = ["accounts", "customer-orders", "product-search", "product-stats", "sales-report"]
            let dev = try Executable(
                "millrace",
                ["dev", "--data", data, "--partitions", "2", "--load", "20", "--customers", "200"]
                    + folders.flatMap { ["--projection", root.appending(path: $0).path] })
            try await eventually { dev.output.contains("/health/ready") }
            let environment = try Self.environment(data)
            let database = try PostgresConfiguration(url: #require(environment["DATABASE_URL"]))
            for table in [
                "accounts.accounts", "accounts.transactions", "customer_orders.customers", "customer_orders.stock",
                "customer_orders.customer_orders", "product_search.products", "product_stats.product_stats",
                "sales_report.products",
            ] {
                try await eventually { (try? await Self.hasRows(table, database)) == true }
            }
            let verify = try Executable("millrace", ["verify", "--wait", "120s"], environment: environment)
            let code = try await verify.exitCode()
            #expect(code == 0, "\(verify.output) \(verify.errors)")
            for folder in folders {
                #expect(verify.output.contains("\n\(folder.replacing("-", with: "_"))_v"), "\(verify.output)")
            }
            dev.signal(SIGINT)
            #expect(try await dev.exitCode() == 0, "\(dev.output) \(dev.errors)")
        }
    }

    private static func hasRows(_ table: String, _ database: PostgresConfiguration) async throws -> Bool {
        let connection = try await PostgresConnection.connect(database)
        let rows = try? await connection.execute(.unprepared("SELECT FROM \(table) LIMIT 1"))
        await connection.close()
        return rows?.rowCount == 1
    }

    private static let broker = try? BrokerServer.findProgram(in: ProcessInfo.processInfo.environment)

    /// The second run finds the records that the first run published. No record is sent again, and at the end the
    /// topics contain the events of both runs.
    @Test(.enabled(if: broker != nil, "noida-db is not installed"))
    func aBrokerKeepsTheHistory() async throws {
        let program = try #require(Self.broker)
        try await TestSlots.hold(3) {
            let data = "/tmp/millrace-test-dev-" + String(UInt64.random(in: .min ... .max), radix: 36)
            defer { try? FileManager.default.removeItem(atPath: data) }
            for _ in 1...2 {
                let dev = try Executable(
                    "millrace",
                    [
                        "dev", "--broker", "--data", data, "--partitions", "1", "--orders", "20", "--load", "0",
                        "--verify",
                    ],
                    environment: [BrokerServer.programVariable: program])
                let code = try await dev.exitCode()
                #expect(code == 0, "\(dev.output) \(dev.errors)")
                #expect(!dev.output.contains("cluster is gone"), "\(dev.output)")
            }
        }
    }

    /// Whether both read models contain at least `count` orders. The dashboard is read through its views.
    private static func hasOrders(_ database: PostgresConfiguration, atLeast count: Int) async throws -> Bool {
        let connection = try await PostgresConnection.connect(database)
        let found = try await connection.execute(
            """
            SELECT (SELECT count(*) FROM order_summary), (SELECT coalesce(sum(orders), 0)::bigint FROM dashboard_statuses)
            """)
        await connection.close()
        return try min(found.int64(0, 0), found.int64(0, 1)) >= count
    }

    /// The environment of a shell that has read the addresses in the session's `dev.env`.
    private static func environment(_ data: String) throws -> [String: String] {
        let lines = try String(contentsOfFile: data + "/dev.env", encoding: .utf8).split(separator: "\n")
        return Dictionary(
            uniqueKeysWithValues: lines.map { line in
                let parts = line.split(separator: "=", maxSplits: 1)
                return (String(parts[0]), String(parts[1]))
            })
    }

    /// The processes with `text` in their arguments, except `millrace dev` itself (proc(5), `cmdline`).
    private static func processes(mentioning text: String) -> [String] {
        let ids = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.filter { Int($0) != nil } ?? []
        return ids.compactMap { id in
            guard let bytes = FileManager.default.contents(atPath: "/proc/\(id)/cmdline") else { return nil }
            let command = String(decoding: bytes, as: UTF8.self).replacing("\0", with: " ")
            return command.contains(text) && !command.contains("millrace dev") ? command : nil
        }
    }
}
