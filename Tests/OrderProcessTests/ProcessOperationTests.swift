import CommandKit
import OrderCommands
import OrderProcess
import Orders
import Postgres
import ProcessManagers
import StreamCore
import TestKit
import Testing

/// Operations on processes, and the deletion of old processes.
@Suite struct ProcessOperationTests {
    private static let day: Int64 = 86_400

    private func pruner(_ scene: ProcessScene, process: String = OrderProcessPolicy.name) -> ProcessPruner {
        let clock = scene.clock
        return ProcessPruner(
            process: process, postgres: scene.shop.database, keptDays: 30, logger: ProcessScene.logger
        ) { clock.now }
    }

    @Test func finishedProcessesAreDeletedWhenTheyAreOldEnough() async throws {
        let days = 86_400
        try await ProcessScene.with(pieces: 2, { ($0.stockTimeoutS, $0.stockRetryS) = (100 * days, days) }) { scene in
            try await scene.confirm("shipped")
            try await scene.confirm("waiting", pieces: 9)
            try await scene.apply(scene.events())
            #expect(try await scene.stages() == ["awaiting_stock 1", "shipped 1"])
            let connection = scene.shop.connection
            scene.clock.advance(seconds: 30 * Self.day)
            #expect(try await pruner(scene).pass(on: connection) == 0, "not older than 30 days")
            scene.clock.advance(seconds: 1)
            #expect(try await pruner(scene, process: "another").pass(on: connection) == 0)
            #expect(try await pruner(scene).pass(on: connection) == 1)
            #expect(try await scene.stages() == ["awaiting_stock 1"])
            #expect(try await scene.rows("SELECT DISTINCT process_id FROM process_steps") == ["waiting"])
            // This process is never deleted, because it is not finished. It also keeps its deadline.
            scene.clock.advance(seconds: 10_000 * Self.day)
            #expect(try await pruner(scene).pass(on: connection) == 0)
            #expect(try await scene.rows("SELECT due_at IS NOT NULL FROM processes") == ["true"])
        }
    }

    @Test func manyAreDeletedInParts() async throws {
        try await ProcessScene.with(pieces: 1) { scene in
            try await scene.shop.connection.execute(
                script: """
                    INSERT INTO processes (process, process_id, stage, is_finished, state_format, state, step_count,
                        started_at, updated_at)
                    SELECT 'order-process', n::text, 'shipped', true, 1, '{"stage":"shipped"}', 2, now(), now()
                    FROM generate_series(1, 2500) AS n;
                    INSERT INTO process_steps (process, process_id, number, at, step, outcome, stage)
                    SELECT 'order-process', n::text, s, now(), 'x', 'taken', 'shipped'
                    FROM generate_series(1, 2500) AS n, generate_series(1, 2) AS s
                    """)
            scene.clock.advance(seconds: 31 * Self.day)
            let connection = scene.shop.connection
            // A process that another session has locked is left for the next pass.
            let other = try await PostgresConnection.connect(scene.shop.database)
            try await other.withTransaction { transaction in
                try await transaction.execute("SELECT 1 FROM processes WHERE process_id = '7' FOR UPDATE")
                #expect(try await pruner(scene).pass(on: connection) == 2_499)
            }
            #expect(try await pruner(scene).pass(on: connection) == 1)
            #expect(try await scene.shop.number("SELECT count(*) FROM process_steps") == 0)
            await other.close()
        }
    }

    @Test func aStoppedProcessGoesOnWhenAnOperatorSaysSo() async throws {
        try await ProcessScene.with(pieces: 5, { $0.capture = .provider }) { scene in
            try await scene.confirm("a")
            try await scene.confirm("b")
            try await scene.apply(scene.events())
            let parcel = ShipmentCreated(orderID: "a", carrier: "x", trackingNumber: "1")
            #expect(try await scene.shop.send(CreateShipment(shipmentID: "s", parcel: parcel)) == "1")
            scene.clock.advance(seconds: 1_000)
            #expect(try await scene.passDeadlines() == 2)
            #expect(try await scene.stages() == ["cancelled 1", "stopped 1"])

            let registry = ProcessRegistry(scene.shop.connection)
            let stopped = ProcessRegistry.Filter(process: "order-process", stage: "stopped")
            #expect(try await registry.list(stopped, limit: 10).map(\.id) == ["a"])
            let audit = Audit(actor: "mara", reason: "the parcel came back")
            #expect(try await registry.resume(stopped, by: audit, at: scene.clock.now) == ["a"])
            // The state that stopped the process is unchanged, so it stops again.
            #expect(try await scene.passDeadlines() == 1)
            #expect(try await scene.stages() == ["cancelled 1", "stopped 1"])
            #expect(try await scene.passDeadlines() == 0, "it is not retried by itself")

            try await scene.shop.connection.execute(script: "DELETE FROM shipments")
            let one = ProcessRegistry.Filter(process: "order-process", stage: "stopped", ids: ["a", "b", "c"])
            #expect(try await registry.resume(one, by: audit, at: scene.clock.now) == ["a"])
            #expect(try await scene.passDeadlines() == 1)
            #expect(try await scene.stages() == ["cancelled 2"])
            #expect(try await scene.rows("SELECT on_hand, reserved FROM inventory") == ["5 0"])
            let history = try await registry.history(of: "order-process", "a")
            #expect(history.map(\.number) == Array(1...Int64(history.count)))
            let resumptions = history.filter { $0.step == "resume" }
            #expect(resumptions.map(\.outcome) == Array(repeating: "mara: the parcel came back", count: 2))
            #expect(try await registry.resume(stopped, by: audit, at: scene.clock.now) == [])
        }
    }

    /// An operator's deadline changes nothing for a process that is not stopped. The deadline is then removed.
    @Test func aDeadlineThatChangesNothingIsOver() async throws {
        try await ProcessScene.with(pieces: 5) { scene in
            try await scene.confirm("a")
            try await scene.apply(scene.events())
            try await scene.shop.connection.execute(
                script: "UPDATE processes SET is_finished = false, due_at = '2020-01-01T00:00:00Z'")
            #expect(try await scene.passDeadlines() == 1)
            #expect(try await scene.rows("SELECT due_at IS NULL, is_finished FROM processes") == ["true true"])
        }
    }
}
