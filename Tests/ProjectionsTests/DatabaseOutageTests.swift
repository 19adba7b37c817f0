import EmbeddedPostgres
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// Whether a runner's observer learns at once that the database is away. Readiness depends on it.
@Suite struct DatabaseOutageTests {
    @Test func theObserverHearsOfTheOutageAndOfItsEnd() async throws {
        try await Ledger.withPrivateServer { ledger, server in
            let observer = Observer()
            try await ledger.produce(count: 100, keys: 10)
            try await running(ledger.runner(observer: observer)) {
                try await ledger.caughtUp()
                #expect(observer.now.databaseProblem == nil)
                await server.stop(.immediate, keepingData: true)
                try await ledger.produce(count: 100, keys: 10)
                // This is much earlier than the time after which a partition without progress makes the process
                // unhealthy.
                try await eventually { observer.now.databaseProblem != nil }
                let turns = observer.now.turns
                try await eventually { observer.now.turns > turns }
                try await server.start()
                try await ledger.caughtUp()
                try await eventually { observer.now.databaseProblem == nil }
            }
            try await ledger.expectExact()
        }
    }

    /// An error such as a deadlock is retried at once and is not an outage.
    @Test func whatPassesWithTheNextAttemptIsNoOutage() throws {
        let deadlock = DatabaseFailure(
            kind: .transient, underlying: PostgresError(.server, "deadlock", sqlState: .deadlockDetected))
        let lost = DatabaseFailure(kind: .transient, underlying: PostgresError(.connectionLost, "gone"))
        func problems(_ failures: [(DatabaseFailure, attempt: Int)]) -> [Bool] {
            let observer = Observer()
            var telemetry = ProjectionTelemetry(
                projection: LedgerProjection(name: "p", topics: []), logger: Ledger.logger, observer: observer)
            return failures.map { failure, attempt in
                telemetry.report(.databaseFailing(failure, attempt: attempt))
                return observer.now.databaseProblem != nil
            }
        }
        #expect(problems([(deadlock, 1), (deadlock, 2)]) == [false, true])
        #expect(problems([(lost, 1)]) == [true])
    }
}
