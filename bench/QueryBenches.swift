import Foundation
import Migrations
import Postgres
import StreamCore

/// A query service under load: its answers a second. The limit is the rate of pgbench on the same database, with the
/// same statement and as many connections, immediately before and after. Then the bench measures the latency at half
/// the service's rate.
struct QueryLoad {
    static let connections = 16
    static let seconds = 10

    let name: String
    /// Each request uses one of these targets.
    let targets: [String]
    /// The script lines that set pgbench's variables.
    let variables: String
    /// The expressions for the statement's parameters, in their order.
    let values: [String]

    /// Runs the bench. `statement` is the statement that the service ran for the first target.
    func run(
        on servers: BenchServers, _ service: QueryServiceUnderLoad, statement: String
    ) async throws -> BenchResult {
        let pgbench = PgBench(
            script: "\(variables)\n\(try PgBench.filled(statement, with: values));\n", connections: Self.connections)
        let client = try LoadClient(
            port: service.port, connections: Self.connections, requests: targets.map { request($0) })
        let warm = try await client.run(warmUp: .seconds(2), measured: .seconds(1))
        // Enough statements for about half of the seconds.
        let statements = Int(warm.perSecond * 1.5) * Self.seconds / 2
        var limit = try pgbench.perSecond(on: servers.postgres, statements: statements)
        let closed = try await client.run(warmUp: .seconds(1), measured: .seconds(Self.seconds))
        limit = (limit + (try pgbench.perSecond(on: servers.postgres, statements: statements))) / 2
        let paced = try await client.run(
            warmUp: .seconds(1), measured: .seconds(Self.seconds), rate: closed.perSecond / 2)
        for outcome in [closed, paced] where !outcome.refusals.isEmpty {
            throw BenchError("\(name): answers that are not 2xx: \(outcome.refusals)")
        }
        var result = BenchResult(name: name)
        result.events = closed.requests
        result.seconds = closed.seconds
        result.eventsPerS = closed.perSecond
        result.limitPerS = limit
        result.ratio = closed.perSecond / limit
        result.peakRssMib = try service.process.peakResidentMiB()
        result.take(paced.latencies)
        return result
    }
}

/// The real daemon with a port.
struct QueryServiceUnderLoad {
    let process: DaemonProcess
    let port: Int

    static func start(on servers: BenchServers, settings: [String: String] = [:]) async throws -> Self {
        try await Migrator(servers.postgres).up(["dashboard"])
        let port = try ClientSocket.freePort()
        let process = try servers.start(
            "query-service", settings: ["http.port": "\(port)"].merging(settings) { $1 })
        try await servers.wait("query service", within: .seconds(30), every: .milliseconds(20)) {
            guard process.isRunning else { throw BenchError("the query service has ended") }
            guard let client = try? RequestClient(port: port) else { return false }
            return try await client.get("/v1/freshness").status == 200
        }
        return Self(process: process, port: port)
    }

    /// Requests a target, and reads from PostgreSQL which statement the service ran for it.
    func statement(for target: String, on postgres: PostgresConfiguration) async throws -> String {
        let response = try await RequestClient(port: port).get(target)
        guard response.status == 200 else { throw BenchError("\(target): \(response.body)") }
        let connection = try await PostgresConnection.connect(postgres)
        let activity = try await connection.execute(
            """
            SELECT query FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND query LIKE '%FROM order_summary WHERE%' AND query LIKE '%shipping_address%'
            ORDER BY query_start DESC LIMIT 1
            """)
        await connection.close()
        guard activity.rowCount == 1 else { throw BenchError("no statement was seen for \(target)") }
        return try activity.string(0, 0)
    }

    /// Follows the links of a list.
    ///
    /// - Returns: the target of the page that follows the first one after this number of pages.
    func target(_ pages: Int, behind target: String, _ client: RequestClient) async throws -> String {
        var target = target
        for _ in 0..<pages {
            let response = try await client.get(target)
            guard response.status == 200, let link = response.body.firstRange(of: "Link: <") else {
                throw BenchError("\(target) has no next page: \(response.body.prefix(1_000))")
            }
            target = String(response.body[link.upperBound...].prefix { $0 != ">" })
        }
        return target
    }
}

extension PgBench {
    /// The text of a prepared statement in the form of a pgbench script.
    static func filled(_ statement: String, with values: [String]) throws -> String {
        var text = statement.split(separator: "\n").joined(separator: " ")
        for (index, value) in values.enumerated().reversed() {
            guard text.contains("$\(index + 1)") else { throw BenchError("no $\(index + 1) in \(text)") }
            text = text.replacing("$\(index + 1)", with: "(\(value))")
        }
        guard !text.contains("$") else { throw BenchError("a parameter without a value in \(text)") }
        return text
    }
}

/// One order by its id.
enum QueryByID {
    static let name = "query-by-id"

    @Sendable static func run(on servers: BenchServers) async throws -> [BenchResult] {
        try await QueryModel.seed(servers.postgres)
        let service = try await QueryServiceUnderLoad.start(on: servers)
        let load = QueryLoad(
            name: name,
            targets: (0..<100_000).map { _ in
                "/v1/orders/\(QueryModel.orderID(.random(in: 0..<QueryModel.orders)))"
            },
            variables: "\\set n random(0, \(QueryModel.orders - 1))", values: ["ARRAY['order-' || :n]"])
        let statement = try await service.statement(for: load.targets[0], on: servers.postgres)
        let result = try await load.run(on: servers, service, statement: statement)
        try await service.process.stop()
        return [result]
    }
}

/// Pages of orders: of a customer, of statuses within a week, and of a range of amounts. Each is measured with its
/// first page and with a deep page.
enum QuerySearch {
    static let name = "query-search"

    /// A list, and the parameters with which pgbench reads the same pages.
    private struct List {
        let name: String
        /// The targets of the first pages.
        let targets: [String]
        /// The number of pages between the first page and the deep one.
        let depth: Int
        let variables: String
        let values: [String]
        /// The position after which the deep page begins: the sort key and the order's id.
        let position: [String]
    }

    @Sendable static func run(on servers: BenchServers) async throws -> [BenchResult] {
        try await QueryModel.seed(servers.postgres)
        let service = try await QueryServiceUnderLoad.start(on: servers)
        let client = try RequestClient(port: service.port)
        var results: [BenchResult] = []
        for list in [ofCustomer, ofStatus, ofAmount] {
            var deep: [String] = []
            for target in list.targets {
                deep.append(try await service.target(list.depth, behind: target, client))
            }
            for (suffix, targets, values) in [
                ("", list.targets, list.values), ("-deep", deep, list.values + list.position),
            ] {
                let load = QueryLoad(
                    name: "\(name)-\(list.name)\(suffix)", targets: targets, variables: list.variables, values: values)
                let statement = try await service.statement(for: targets[0], on: servers.postgres)
                results.append(try await load.run(on: servers, service, statement: statement))
                say(results.last?.line() ?? "")
            }
        }
        try await service.process.stop()
        return results
    }

    /// The time at which an order was created, in SQL.
    private static func time(ofOrder number: String) -> String {
        "to_timestamp(\(QueryModel.start) + (\(number)) * \(QueryModel.secondsBetweenOrders))"
    }

    /// Pages of ten orders. The deep page is the fourth of five.
    private static var ofCustomer: List {
        let step = 40
        let last = "(:c + \(QueryModel.customers * (QueryModel.perCustomer - 30)))"
        return List(
            name: "customer",
            targets: stride(from: 0, to: QueryModel.customers, by: step).map {
                "/v1/customers/\(QueryModel.customerID($0))/orders?limit=10"
            },
            depth: 3, variables: "\\set c random(0, \(QueryModel.customers / step - 1)) * \(step)",
            values: ["ARRAY['customer-' || :c]"],
            position: ["ARRAY[\(time(ofOrder: last))]", "ARRAY['order-' || \(last)]"])
    }

    /// Pages of fifty paid and shipped orders of a week, which are every fifth order.
    private static var ofStatus: List {
        let perDay = 86_400 / QueryModel.secondsBetweenOrders
        let days = stride(from: 0, to: 300, by: 3)
        let depth = 20
        let last = "(:d * \(perDay) + \(7 * perDay - 50 * depth * 5))"
        return List(
            name: "status",
            targets: days.map { day in
                let from = Timestamp(microseconds: Int64(QueryModel.start + day * 86_400) * 1_000_000)
                let to = Timestamp(microseconds: Int64(QueryModel.start + (day + 7) * 86_400) * 1_000_000)
                return "/v1/orders?status=paid,shipped&from=\(from)&to=\(to)"
            },
            depth: depth, variables: "\\set d random(0, 99) * 3",
            values: [
                "'{paid,shipped}'::text[]", time(ofOrder: ":d * \(perDay)"), time(ofOrder: "(:d + 7) * \(perDay)"),
            ],
            position: [time(ofOrder: last), "'order-' || \(last)"])
    }

    /// Pages of fifty orders with amounts in a range of ten euros, the cheapest first. There are ten orders for each
    /// cent.
    private static var ofAmount: List {
        List(
            name: "amount",
            targets: (0..<100).map { "/v1/orders?min_amount=\(10 + $0 * 9)&max_amount=\(20 + $0 * 9)&sort=amount" },
            depth: 20, variables: "\\set m random(0, 99) * 9 + 10", values: [":m::numeric", ":m::numeric + 10"],
            position: [":m::numeric + 1", "'order-'"])
    }
}
