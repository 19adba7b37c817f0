import EmbeddedKafka
import Glibc
import Postgres
import TestKit
import Testing

/// Tests events that cannot be applied, with all daemons. The events become dead letters, and no other event waits for
/// them. After the cause is removed and the letters are retried, the read model is exact.
@Suite struct DeadLetterTests {
    /// A constraint that makes about one order in twenty impossible to apply, for all its event types.
    private static let poison = """
        ALTER TABLE order_summary_rows ADD CONSTRAINT poison CHECK (hashtext(order_id) % 20 <> 0) NOT VALID
        """
    private static let antidote = "ALTER TABLE order_summary_rows DROP CONSTRAINT poison"
    /// The largest number of events that one partition has parked because they failed.
    private static let mostParked = """
        SELECT max(n) FROM (
            SELECT count(*) AS n FROM parked_events WHERE reason = 'failed' GROUP BY topic, partition) AS parked
        """
    /// A constraint that refuses every row, like a release that can apply nothing.
    private static let paralysis = "ALTER TABLE order_summary_rows ADD CONSTRAINT poison CHECK (false) NOT VALID"

    @Test func whatFailsIsParkedAndExactAfterARetry() async throws {
        try await Pipeline.with { pipeline in
            try await pipeline.execute(Self.poison)
            let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.handler()]
            try await pipeline.play(orders: 200)
            try await eventually { try await pipeline.isEverythingPassed() }
            let parked = try await pipeline.number("SELECT count(*) FROM parked_events")
            #expect(parked > 0)
            // All orders that can be applied are in the read model, and no others.
            #expect(
                try await pipeline.number(
                    """
                    SELECT count(*) FROM orders FULL JOIN order_summary USING (order_id)
                    WHERE (hashtext(order_id) % 20 <> 0) <> (order_summary.order_id IS NOT NULL)
                    """) == 0)
            try await eventually {
                try await pipeline.number("SELECT count(*) FROM dead_letters WHERE state = 'pending'") == parked
            }
            try await pipeline.execute(Self.antidote)
            _ = try await pipeline.deadLetters("retry", "--all", "--execute", "--reason", "the constraint is gone")
            try await everyLetterIsOver(pipeline)
            try await pipeline.expectEverythingArrives()
            #expect(try await pipeline.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") == parked)
            for daemon in daemons { try await daemon.stop() }
        }
    }

    @Test func killedAgainAndAgainNothingIsLostOrAppliedTwice() async throws {
        try await TestDatabase.withSchema(migrating: Pipeline.sets) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                let suffix = "-" + TestKafka.uniqueName("events")
                for topic in Pipeline.allTopics(suffix) {
                    try cluster.createTopic(topic, partitions: Pipeline.partitions)
                }
                let pipeline = Pipeline(postgres: postgres, kafka: kafka, topicSuffix: suffix)
                try await pipeline.execute(Self.poison)
                async let load: Void = pipeline.play(orders: 300, seed: 5)
                // Request timed out; not the leader; not enough replicas, before and after the append.
                let transient: [Int32] = [7, 6, 19, 20]
                for round in 1...5 {
                    let doomed = try [pipeline.relay(), pipeline.projection(), pipeline.handler()]
                    cluster.pushRequestErrors(.produce, (0..<4).map { transient[$0 % transient.count] })
                    if round == 4 {
                        // From this round on, letters are retried while the daemons are killed.
                        try await eventually {
                            try await pipeline.number("SELECT count(*) FROM dead_letters WHERE state = 'pending'") > 0
                        }
                        try await pipeline.execute(Self.antidote)
                        _ = try await pipeline.deadLetters("retry", "--all", "--execute", "--reason", "round 4")
                    }
                    // Before round 4, wait until something was parked; afterwards, until something was applied.
                    let counter = round < 4 ? "parked_events" : "processed_events"
                    let before = try await pipeline.number("SELECT count(*) FROM \(counter)")
                    try await eventually {
                        let isOver = try await pipeline.isEverythingPassed()
                        return try await pipeline.number("SELECT count(*) FROM \(counter)") > before || isOver
                    }
                    for daemon in doomed { daemon.signal(SIGKILL) }
                    for daemon in doomed { _ = try await daemon.exitCode() }
                }
                try await load
                let daemons = try [pipeline.relay(), pipeline.projection(), pipeline.handler()]
                try await eventually { try await pipeline.isEverythingPassed() }
                try await everyParkedEventHasALetter(pipeline)
                // Earlier retries may have left nothing, or may finish while the command runs. Exit code 1 means that
                // there is nothing to retry.
                _ = try await pipeline.deadLetters(
                    "retry", "--all", "--execute", "--reason", "the cause is gone", codes: [0, 1])
                try await everyLetterIsOver(pipeline)
                try await pipeline.expectEverythingArrives()
                #expect(try await pipeline.number("SELECT count(*) FROM dead_letters WHERE state = 'resolved'") > 0)
                #expect(
                    try await pipeline.number(
                        "SELECT (SELECT sum(version) FROM orders) - (SELECT sum(version) FROM order_summary)") == 0)
                for daemon in daemons { try await daemon.stop() }
            }
        }
    }

    @Test func aReleaseThatFailsEverythingOpensTheCircuitBreakers() async throws {
        try await Pipeline.with { pipeline in
            try await pipeline.execute(Self.paralysis)
            let relay = try pipeline.relay()
            let first = try pipeline.projection()
            let handler = try pipeline.handler()
            try await pipeline.play(orders: 200)
            try await eventually {
                try await pipeline.number("SELECT count(*) FROM circuit_breakers WHERE opened_at IS NOT NULL") > 0
            }
            // After a restart, the circuit breaker must stay open.
            try await first.stop()
            let second = try pipeline.projection()
            try await second.waitForLog("circuit breaker open")
            #expect(try await pipeline.number(Self.mostParked) <= 50)
            try await pipeline.execute(Self.antidote)
            // The projection continues without an operator's action.
            try await eventually { try await pipeline.isEverythingPassed() }
            #expect(try await pipeline.number(Self.mostParked) <= 50)
            try await everyParkedEventHasALetter(pipeline)
            _ = try await pipeline.deadLetters("retry", "--all", "--execute", "--reason", "the release is mended")
            try await everyLetterIsOver(pipeline)
            try await pipeline.expectEverythingArrives()
            for daemon in [relay, second, handler] { try await daemon.stop() }
        }
    }

    // MARK: - waits

    private func everyParkedEventHasALetter(_ pipeline: Pipeline) async throws {
        try await eventually {
            try await pipeline.number(
                """
                SELECT count(*) FROM parked_events AS p WHERE p.reason <> 'discarded' AND NOT EXISTS (
                    SELECT FROM dead_letters AS l
                    WHERE (l.origin_topic, l.origin_partition, l.origin_offset) = (p.topic, p.partition, p.record_offset)
                        AND l.state IN ('pending', 'retrying'))
                """) == 0
        }
    }

    /// Waits until no letter is open and no key is blocked.
    private func everyLetterIsOver(_ pipeline: Pipeline) async throws {
        try await eventually {
            try await pipeline.number(
                """
                SELECT (SELECT count(*) FROM dead_letters WHERE state IN ('pending', 'retrying'))
                    + (SELECT count(*) FROM parked_events WHERE reason <> 'discarded')
                """) == 0
        }
    }
}
