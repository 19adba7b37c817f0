import Foundation
import Glibc
import Postgres
import TestKit
import Testing

/// Runs the order process as a daemon between the command service and the relay.
@Suite struct OrderProcessTests {
    private static let order = """
        {"customerId":"c1","currency":"EUR","items":[{"productId":"p1","name":"Cup","quantity":2,"unitPrice":"12.50"}],\
        "shippingAddress":{"name":"A","street":"S 1","city":"B","postalCode":"1","country":"DE"}}
        """

    /// The process is killed in the middle of its steps, after it reserved stock and authorized payments.
    @Test func aKillInTheMiddleLeavesNothing() async throws {
        try await Pipeline.with { pipeline in
            let suffix = pipeline.topicSuffix
            let topics = ["inventory\(suffix)", "dlq\(suffix).order-process", "retry\(suffix).order-process"]
            try await TestKafka.withTopics(named: topics, partitions: 2) {
                try await pipeline.execute("INSERT INTO customers VALUES ('c1', 'name', 'mail', 'DE')")
                let commands = try await RunningService(pipeline.commandService(), serving: "commands")
                let relay = try pipeline.relay()
                let stock = try await commands.post("/v1/inventory/p1/receipts", #"{"quantity":13}"#)
                #expect(stock.status == 200, "\(stock.body)")
                var orders: [String] = []
                for _ in 0..<7 {
                    let created = try await commands.post("/v1/orders", Self.order)
                    let path = try #require(created.header("Location"), "\(created.body)")
                    #expect(try await commands.post(path + "/confirm").status == 200)
                    orders.append(try #require(path.split(separator: "/").last.map(String.init)))
                }
                try await kill(pipeline)
                let process = try pipeline.orderProcess()
                try await eventually {
                    try await pipeline.number("SELECT count(*) FROM processes WHERE is_finished") == 7
                }
                // The stock is enough for six orders of two pieces each.
                #expect(try await pipeline.number("SELECT count(*) FROM shipments") == 6)
                #expect(try await pipeline.number("SELECT count(*) FROM payments WHERE status = 'completed'") == 6)
                #expect(try await pipeline.number("SELECT count(*) FROM orders WHERE status = 'cancelled'") == 1)
                #expect(try await pipeline.number("SELECT on_hand FROM inventory WHERE reserved = 0") == 1)
                try await expectTheTrace(of: orders, pipeline)
                for daemon in [process, relay, commands.process] { try await daemon.stop() }
            }
        }
    }

    /// Runs the process until it waits in the middle of its first transaction, and kills it there.
    private func kill(_ pipeline: Pipeline) async throws {
        let holder = try await PostgresConnection.connect(pipeline.postgres)
        // EXCLUSIVE mode lets others read shipments but not lock or write them.
        try await holder.execute(script: "BEGIN; LOCK TABLE shipments IN EXCLUSIVE MODE")
        let doomed = try pipeline.orderProcess()
        let waiting = "FROM pg_locks WHERE NOT granted AND relation = 'shipments'::regclass"
        try await eventually { try await pipeline.number("SELECT count(*) \(waiting)") > 0 }
        doomed.signal(SIGKILL)
        _ = try await doomed.exitCode()
        // A server does not notice that the client of a waiting statement is gone.
        _ = try await pipeline.number("SELECT count(pg_terminate_backend(pid)) \(waiting)")
        try await eventually { try await pipeline.number("SELECT count(*) \(waiting)") == 0 }
        await holder.close()
        for table in ["processes", "process_steps", "payments", "shipments", "inventory_reservations"] {
            #expect(try await pipeline.number("SELECT count(*) FROM \(table)") == 0, "\(table)")
        }
    }

    /// The trace of each order shows how the order ended.
    private func expectTheTrace(of orders: [String], _ pipeline: Pipeline) async throws {
        var ends: [String: Int] = [:]
        for id in orders {
            let trace = try pipeline.serverCommand(["trace", id, "--topic", "*\(pipeline.topicSuffix)"])
            #expect(try await trace.exitCode() == 0, "\(trace.errors)")
            let lines = trace.output.split(separator: "\n")
            let steps = lines.filter { $0.contains(" order-process ") && $0.contains("→") }
            #expect(steps.first?.contains("OrderConfirmed taken") == true, "\(trace.output)")
            ends[String(steps.last?.split(separator: " ").last ?? "none"), default: 0] += 1
        }
        #expect(ends == ["shipped": 6, "cancelled": 1])
    }
}
