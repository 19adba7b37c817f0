import Commands
import Events
import Postgres
import Synchronization
import TestKit
import Testing

@Suite struct LostSessionTests {
    private final class Counts: Sendable {
        let accepted = Atomic(0)
        let unknown = Atomic(0)
        let isOver = Atomic(false)
    }

    /// The server ends sessions at any time, also during COMMIT, and the commands have no keys. Each command that was
    /// accepted was carried out once, and each that failed was not.
    @Test(arguments: [TallyScene.Kept.asTable, .asStream])
    func sessionsThatEndUnderLoadLoseNothingAndDoubleNothing(kept: TallyScene.Kept) async throws {
        try await TallyScene.with(kept) { scene in
            let database = Self.named(scene.database)
            let bus = try TallyScene.bus(database, kept)
            let counts = Counts()
            try await TallyScene.running(bus) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await Self.endSessions(of: database, unless: counts) }
                    try await withThrowingTaskGroup(of: Void.self) { clients in
                        for client in 0..<16 {
                            clients.addTask {
                                for _ in 0..<100 {
                                    do throws(CommandFailure) {
                                        try await bus.send(Add(tally: "t\(client % 4)", number: 1))
                                        counts.accepted.add(1, ordering: .relaxed)
                                    } catch {
                                        if error == .unknownOutcome { counts.unknown.add(1, ordering: .relaxed) }
                                    }
                                }
                            }
                        }
                        try await clients.waitForAll()
                    }
                    counts.isOver.store(true, ordering: .relaxed)
                    try await group.waitForAll()
                }
            }
            let count = try await scene.number("SELECT count(*) FROM outbox")
            let sure = Int64(counts.accepted.load(ordering: .relaxed))
            #expect((sure...sure + Int64(counts.unknown.load(ordering: .relaxed))).contains(count))
            #expect(sure > 1_000)
            #expect(try await scene.disorder() == 0)
            var total: Int64 = 0
            for index in 0..<4 {
                total += try await scene.bus.aggregate(TallyDecider.self, "t\(index)")?.state.total ?? 0
            }
            #expect(total == count)
        }
    }

    /// The same database, with an application name that identifies these sessions.
    private static func named(_ database: PostgresConfiguration) -> PostgresConfiguration {
        var named = database
        named.applicationName = database.schema
        return named
    }

    /// Ends all sessions of the bus after every 20 accepted commands.
    private static func endSessions(
        of database: PostgresConfiguration, unless counts: Counts
    ) async throws {
        var own = database
        own.applicationName = "operator"
        let connection = try await PostgresConnection.connect(own)
        var parameters = Parameters()
        parameters.append(database.applicationName)
        var next = 20
        while !counts.isOver.load(ordering: .relaxed) {
            if counts.accepted.load(ordering: .relaxed) >= next {
                try await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", parameters)
                next = counts.accepted.load(ordering: .relaxed) + 20
            }
            await Task.yield()
        }
        await connection.close()
    }
}
