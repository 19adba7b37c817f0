import Commands
import Events
import Postgres
import TestKit
import Testing

@Suite struct IdempotencyTests {
    @Test func theSameKeyIsAnsweredTheSame() async throws {
        try await TallyScene.with { scene in
            let request = CommandRequest(idempotencyKey: TallyScene.key("k", "5"))
            let first = try await scene.bus.send(Add(tally: "a", number: 5), request)
            try await scene.bus.send(Add(tally: "a", number: 1))
            let again = try await scene.bus.send(Add(tally: "a", number: 5), request)
            #expect(again == CommandOutcome(first.verdict, isReplay: true))
            #expect(again.text == "5" && again.version == 1)
            #expect(try await scene.bus.aggregate(TallyDecider.self, "a")?.state.total == 6)

            let other = CommandRequest(idempotencyKey: TallyScene.key("k", "6"))
            await #expect(throws: CommandFailure.keyReused) {
                try await scene.bus.send(Add(tally: "a", number: 6), other)
            }
            let elsewhere = IdempotencyKey(scope: "other", key: "k", request: [])
            let own = try await scene.bus.send(
                Add(tally: "a", number: 1), CommandRequest(idempotencyKey: elsewhere))
            #expect(!own.isReplay && own.text == "7")
        }
    }

    @Test func aRefusalIsRepeated() async throws {
        try await TallyScene.with { scene in
            let request = CommandRequest(idempotencyKey: TallyScene.key("k"))
            let refused = try await scene.bus.send(Add(tally: "a", number: -1), request)
            try await scene.bus.send(Add(tally: "a", number: 1))
            let again = try await scene.bus.send(Add(tally: "a", number: -1), request)
            #expect(refused.rule == "below-zero")
            #expect(again == CommandOutcome(refused.verdict, isReplay: true))
        }
    }

    /// The same key is used in one transaction, on two connections, and in two processes.
    @Test(arguments: TallyScene.Kept.allCases)
    func manyWithTheSameKeyAtOnceTakeEffectOnce(kept: TallyScene.Kept) async throws {
        try await TallyScene.with(kept) { scene in
            let other = try TallyScene.bus(scene.database, kept)
            try await TallyScene.running(other) {
                let outcomes = try await withThrowingTaskGroup(of: CommandOutcome.self) { group in
                    for index in 0..<120 {
                        let bus = index % 2 == 0 ? scene.bus : other
                        group.addTask {
                            let key = TallyScene.key("k\(index % 6)")
                            return try await bus.send(
                                Add(tally: "a\(index % 3)", number: 1), CommandRequest(idempotencyKey: key))
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(outcomes.count { !$0.isReplay } == 6)
            }
            #expect(try await scene.number("SELECT count(*) FROM outbox") == 6)
            #expect(try await scene.number("SELECT count(*) FROM command_answers") == 6)
            for index in 0..<3 {
                #expect(try await scene.bus.aggregate(TallyDecider.self, "a\(index)")?.state.total == 2)
            }
        }
    }

    @Test func fingerprintsTellPartsApart() {
        let one = IdempotencyKey(scope: "", key: "", request: [Array("ab".utf8), Array("c".utf8)])
        let other = IdempotencyKey(scope: "", key: "", request: [Array("a".utf8), Array("bc".utf8)])
        #expect(one.fingerprint != other.fingerprint && one.fingerprint.count == 32)
    }

    @Test func oldAnswersAreForgotten() async throws {
        try await TallyScene.with { scene in
            for name in ["old", "young"] {
                let key = TallyScene.key(name)
                try await scene.bus.send(Add(tally: "a", number: 1), CommandRequest(idempotencyKey: key))
            }
            let connection = try await PostgresConnection.connect(scene.database)
            try await connection.execute(
                "UPDATE command_answers SET created_at = created_at - interval '25 hours' WHERE key = 'old'")
            await connection.close()
            #expect(try await scene.bus.pruneAnswers() == 1)
            #expect(try await scene.bus.pruneAnswers() == 0)
            let young = try await scene.bus.send(
                Add(tally: "a", number: 1), CommandRequest(idempotencyKey: TallyScene.key("young")))
            #expect(young.isReplay)
        }
    }
}
