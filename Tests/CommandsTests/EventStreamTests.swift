import Commands
import Events
import Postgres
import StreamCore
import TestKit
import Testing

@Suite struct EventStreamTests {
    private func change(_ sql: String, _ scene: TallyScene) async throws {
        let connection = try await PostgresConnection.connect(scene.database)
        try await connection.execute(script: sql)
        await connection.close()
    }

    @Test func aSnapshotStandsForTheEventsBeforeIt() async throws {
        try await TallyScene.with(.asStream) { scene in
            for _ in 0..<12 { try await scene.bus.send(Add(tally: "a", number: 1)) }
            #expect(try await scene.number("SELECT snapshot_version FROM event_streams") == 10)
            #expect(try await scene.number("SELECT count(*) FROM stream_events") == 12)
            // The state comes from the snapshot and the later events.
            try await change("UPDATE event_streams SET snapshot = '100'", scene)
            #expect(try await scene.bus.aggregate(TallyDecider.self, "a")?.state.total == 102)
            #expect(try await scene.bus.send(Add(tally: "a", number: 1)).text == "103")
            // A snapshot of another format is ignored.
            try await change("UPDATE event_streams SET snapshot_format = 6", scene)
            let whole = try await scene.bus.aggregate(TallyDecider.self, "a")
            #expect(whole?.state.total == 13 && whole?.version == 13)
        }
    }

    @Test func aMissingEventIsNoticed() async throws {
        try await TallyScene.with(.asStream) { scene in
            for _ in 0..<3 { try await scene.bus.send(Add(tally: "a", number: 1)) }
            try await change("DELETE FROM stream_events WHERE sequence = 2", scene)
            await #expect(throws: CommandFailure.failed) {
                try await scene.bus.send(Add(tally: "a", number: 1))
            }
            // Commands for other aggregates still work.
            #expect(try await scene.bus.send(Add(tally: "b", number: 1)).text == "1")
        }
    }

    @Test func theStateAtAnyTimeIsThatOfTheEventsUntilThen() async throws {
        try await TallyScene.with(.asStream) { scene in
            for number in 1...7 { try await scene.bus.send(Add(tally: "a", number: Int64(number))) }
            let streams = EventStreamRepository<TallyDecider>(snapshots: .every(5))
            let connection = try await PostgresConnection.connect(scene.database)
            let times = try await connection.execute("SELECT occurred_at FROM stream_events ORDER BY sequence")
            await connection.close()
            for index in 0..<7 {
                let at = try times.timestamp(index, 0)
                for (instant, count) in [(at, index + 1), (Timestamp(microseconds: at.microseconds - 1), index)] {
                    let rows = try await scene.bus.query([streams.history(of: "a", until: instant)])
                    let total = try streams.loaded(rows[...])["a"]?.state.total ?? 0
                    #expect(total == Int64(count * (count + 1) / 2))
                }
            }
        }
    }
}
