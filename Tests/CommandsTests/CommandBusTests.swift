import Commands
import Events
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct CommandBusTests {
    typealias Kept = TallyScene.Kept

    @Test func saysAtTheStartWhatDoesNotFitTogether() {
        struct Forgotten: Command { static let name = "Forgotten" }
        var configuration = CommandBusConfiguration()
        configuration.batchLimit = 0
        let error = #expect(throws: CommandBusError.self) {
            try CommandBus(
                configuration, postgres: PostgresConfiguration(), commands: [Add.self, Forgotten.self],
                handlers: TallyCommands.handlers + [TallyCommands.handlers[0]], repositories: [],
                logger: Logger(label: "test"))
        }
        #expect(
            error?.problems == [
                "batchLimit is not within 1…1000", "Add reads TallyDecider, which has no repository",
                "Move reads TallyDecider, which has no repository", "Add has two handlers",
                "Add reads TallyDecider, which has no repository", "Forgotten has no handler",
            ])
    }

    @Test(arguments: Kept.allCases) func commitsStateAndEventsTogether(kept: Kept) async throws {
        try await TallyScene.with(kept) { scene in
            let metadata = EventMetadata(userID: "u", tenantID: "t", source: "test")
            let first = try await scene.bus.send(Add(tally: "a", number: 5), CommandRequest(metadata: metadata))
            let second = try await scene.bus.send(
                Add(tally: "a", number: -2), CommandRequest(correlationID: "c", expectedVersion: 1))
            #expect(first.text == "5" && first.version == 1 && !first.isReplay)
            #expect(second.text == "3" && second.version == 2)
            let loaded = try await scene.bus.aggregate(TallyDecider.self, "a")
            #expect(loaded?.state.total == 3 && loaded?.version == 2)
            #expect(try await scene.bus.aggregate(TallyDecider.self, "b") == nil)

            let connection = try await PostgresConnection.connect(scene.database)
            let rows = try await connection.execute(
                """
                SELECT event_type, aggregate_type, sequence, correlation_id = causation_id, correlation_id = 'c',
                    metadata ->> 'tenantId', payload ->> 'number', occurred_at FROM outbox ORDER BY id
                """)
            #expect(rows.rowCount == 2)
            #expect(try rows.string(0, 0) == "Added" && rows.string(0, 1) == "Tally")
            #expect(try rows.bool(0, 3) && rows.bool(1, 4))
            #expect(try rows.optionalString(0, 5) == "t" && rows.optionalString(1, 5) == nil)
            #expect(try rows.string(0, 6) == "5" && rows.string(1, 6) == "-2")
            #expect(try rows.timestamp(0, 7) < rows.timestamp(1, 7))
            await connection.close()
        }
    }

    @Test func eventsAreTold() async throws {
        let channel = "told_\(UInt64.random(in: 0...UInt64.max))"
        try await TallyScene.with(.asTable, { $0.notifyChannel = channel }) { scene in
            let listener = try await PostgresListener.connect(scene.database, channels: [channel])
            #expect(try await scene.bus.send(Add(tally: "a", number: -1)).rule == "below-zero")
            _ = try await scene.bus.query([("SELECT 1", Parameters())])
            try await scene.bus.send(Add(tally: "a", number: 1))
            let sender = try await PostgresConnection.connect(scene.database)
            try await sender.execute("SELECT pg_notify($1, 'last')", Parameters { $0.append(channel) })
            var payloads: [String] = []
            for try await notification in listener {
                payloads.append(notification.payload)
                if notification.payload == "last" { listener.stop() }
            }
            #expect(payloads == ["", "last"], "neither a refusal nor a read is reported")
            await sender.close()
        }
    }

    @Test(arguments: Kept.allCases) func aRefusalLeavesNothing(kept: Kept) async throws {
        try await TallyScene.with(kept) { scene in
            try await scene.bus.send(Add(tally: "a", number: 1))
            let refused = try await scene.bus.send(Add(tally: "a", number: -2))
            #expect(refused.rule == "below-zero")
            // The addition was decided before the subtraction was refused.
            let half = try await scene.bus.send(Move(source: "a", target: "b", number: 2))
            #expect(half.rule == "below-zero")
            #expect(try await scene.bus.aggregate(TallyDecider.self, "b") == nil)
            #expect(try await scene.bus.aggregate(TallyDecider.self, "a")?.version == 1)
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 1)
            #expect(try await scene.number("SELECT count(*) FROM command_answers") == 0)
        }
    }

    @Test func anExpectedVersionThatIsNotThereIsTold() async throws {
        try await TallyScene.with { scene in
            await #expect(throws: CommandFailure.versionMismatch(current: 0)) {
                try await scene.bus.send(Add(tally: "a", number: 1), CommandRequest(expectedVersion: 1))
            }
            try await scene.bus.send(Add(tally: "a", number: 1), CommandRequest(expectedVersion: 0))
            let key = TallyScene.key("k")
            await #expect(throws: CommandFailure.versionMismatch(current: 1)) {
                try await scene.bus.send(
                    Add(tally: "a", number: 1), CommandRequest(idempotencyKey: key, expectedVersion: 7))
            }
            // No answer is stored, so the same key may be sent again with the right version.
            let again = try await scene.bus.send(
                Add(tally: "a", number: 1), CommandRequest(idempotencyKey: key, expectedVersion: 1))
            #expect(again.version == 2)
        }
    }

    /// Two processes with many clients send commands. Some commands share a transaction, and others conflict in the
    /// database.
    @Test(arguments: Kept.allCases) func manyAtOnceLoseNothing(kept: Kept) async throws {
        try await TallyScene.with(kept) { scene in
            let other = try TallyScene.bus(scene.database, kept)
            try await TallyScene.running(other) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<300 {
                        let bus = index % 2 == 0 ? scene.bus : other
                        group.addTask {
                            let command = Move(source: "s\(index % 3)", target: "t\(index % 5)", number: 0)
                            try await bus.send(command)
                            try await bus.send(Add(tally: "t\(index % 5)", number: 1))
                        }
                    }
                    try await group.waitForAll()
                }
            }
            var total: Int64 = 0
            for index in 0..<5 {
                total += try await scene.bus.aggregate(TallyDecider.self, "t\(index)")?.state.total ?? 0
            }
            #expect(total == 300)
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 900)
            #expect(try await scene.disorder() == 0)
        }
    }

    @Test func oneThatCannotBeWrittenDoesNotHoldUpTheOthers() async throws {
        try await TallyScene.with(.asTable, { $0.connections = 1 }) { scene in
            let results = await withTaskGroup(of: Result<CommandOutcome, any Error>.self) { group in
                for index in 0..<40 {
                    group.addTask {
                        do {
                            let number: Int64 = index == 17 ? 666 : 1
                            return .success(try await scene.bus.send(Add(tally: "x\(index)", number: number)))
                        } catch { return .failure(error) }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            let failures = results.compactMap { result -> CommandFailure? in
                if case .failure(let error) = result { error as? CommandFailure } else { nil }
            }
            #expect(failures == [.failed])
            let rows = try await scene.number("SELECT count(*) FROM tallies")
            let events = try await scene.number("SELECT count(*) FROM outbox")
            #expect(rows == 39 && events == 39)
        }
    }

    /// A conflict at each attempt ends after as many attempts as are allowed, and nothing is written.
    @Test func attemptsAreLimited() async throws {
        try await TallyScene.with(.asTable, { $0.maxAttempts = 3 }) { scene in
            let connection = try await PostgresConnection.connect(scene.database)
            // A sequence also counts what is rolled back.
            try await connection.execute(
                script: """
                    CREATE SEQUENCE attempts;
                    CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
                        BEGIN PERFORM nextval('attempts'); RAISE SQLSTATE 'CQ409'; END $$;
                    CREATE TRIGGER conflict BEFORE INSERT ON tallies FOR EACH ROW WHEN (new.id = 'a')
                        EXECUTE FUNCTION conflict();
                    """)
            let key = TallyScene.key("k")
            await #expect(throws: CommandFailure.conflict) {
                try await scene.bus.send(Add(tally: "a", number: 1), CommandRequest(idempotencyKey: key))
            }
            #expect(try await scene.number("SELECT last_value FROM attempts") == 3)
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 0)
            #expect(try await scene.bus.send(Add(tally: "b", number: 1)).version == 1)
            // No answer is stored, so the same key may be sent again.
            try await connection.execute(script: "DROP TRIGGER conflict ON tallies")
            let again = try await scene.bus.send(Add(tally: "a", number: 1), CommandRequest(idempotencyKey: key))
            #expect(again.version == 1 && !again.isReplay)
            await connection.close()
            let problem = CommandProblem(.conflict)
            #expect(problem.status == 409 && problem.name == "concurrent-change")
        }
    }

    @Test func aCommandWhoseTimeIsOverChangesNothing() async throws {
        try await TallyScene.with(.asTable, { $0.lockTimeoutMs = 50 }) { scene in
            try await scene.bus.send(Add(tally: "a", number: 1))
            let holder = try await PostgresConnection.connect(scene.database)
            try await holder.withTransaction { transaction in
                try await transaction.execute("SELECT 1 FROM tallies WHERE id = 'a' FOR UPDATE")
                await #expect(throws: CommandFailure.deadlineExceeded) {
                    try await scene.bus.send(
                        Add(tally: "a", number: 1), CommandRequest(timeout: .milliseconds(200)))
                }
            }
            await holder.close()
            #expect(try await scene.bus.aggregate(TallyDecider.self, "a")?.state.total == 1)
        }
    }

    @Test func refusesMoreThanMayWaitAndAllAfterTheStop() async throws {
        try await TallyScene.with(.asTable, { $0.maxQueued = 1 }) { scene in
            let idle = try TallyScene.bus(scene.database) { $0.maxQueued = 1 }
            let first = Task { try await idle.send(Add(tally: "a", number: 1)) }
            let second = Task { try await idle.send(Add(tally: "a", number: 1)) }
            // No worker runs yet, so one command waits and the other is refused.
            try await eventually { idle.waiting == 1 }
            idle.stop()
            await #expect(throws: CommandFailure.stopped) { try await idle.send(Add(tally: "a", number: 1)) }
            // Commands that wait during the stop are still carried out.
            await idle.run()
            var answers: [String] = []
            for task in [first, second] {
                do { answers.append(try await task.value.text ?? "refused") } catch { answers.append("\(error)") }
            }
            #expect(answers.contains("1"))
            #expect(answers.contains("overloaded") || answers.contains("stopped"))
        }
    }
}
