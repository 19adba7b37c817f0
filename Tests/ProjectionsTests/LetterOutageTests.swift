import EmbeddedKafka
import Kafka
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

/// Kafka accepts no letters. Only the partitions that need a letter wait, until Kafka accepts it.
@Suite struct LetterOutageTests {
    private static let unknownTopic: Int32 = 3
    private static let topicForbidden: Int32 = 29

    /// Either the letter topic does not exist and nothing creates it, or the client has no right to write to it.
    @Test(arguments: [unknownTopic, topicForbidden])
    func aLetterTopicThatTakesNothingHoldsOnlyWhatNeedsIt(_ code: Int32) async throws {
        try await Ledger.withPrivateCluster { ledger, cluster in
            let scene = try ParkingScene(ledger) { $0.letterTimeoutMs = 2_000 }
            try cluster.createTopic(scene.route.retryTopic, partitions: 1)
            cluster.setTopicError(scene.route.letterTopic, code)
            let log = RecordedLog()
            let observer = Observer()
            try await ledger.produce(count: 80, keys: 40)
            let held = try await ledger.produce(key: "k3", [])
            try await running(scene.runner(observer: observer, log: log)) {
                try await ledger.caughtUp()
                try await ledger.produce([ledger.next("k3", amount: -5), ledger.next("k3")])
                try await eventually { observer.now.held[held] == [.deadLetters] }
                for _ in 0..<5 {
                    try await ledger.produce(count: 400, keys: 40)
                    try await eventually { ledger.remaining(try await ledger.status()).keys.allSatisfy { $0 == held } }
                }
                try await eventually { observer.now.standing[held] != nil }
                #expect(observer.now.everHeld == [held])
                #expect(observer.now.databaseProblem == nil)
                let line = try #require(log.lines("Kafka accepts no dead letters").first)
                #expect(line.level == .error)
                #expect(line.metadata["error"]?.contains(scene.route.letterTopic) == true)
                #expect(try await scene.parked() == 0)
                cluster.setTopicError(scene.route.letterTopic, 0)
                try await ledger.caughtUp()
                try await eventually { observer.now.held[held] == [] }
                #expect(try await scene.parked() > 0)
                try await scene.execute("ALTER TABLE ledger DROP CONSTRAINT ledger_least_check")
                try await scene.retryUntilResolved()
            }
            try await ledger.expectExact()
        }
    }
}
