import EmbeddedKafka
import Kafka
import TestKit
import Testing

/// How the mock cluster is like a broker.
@Suite struct MockClusterTests {
    /// A client whose requests go to many partitions at once gets the answers at once. Were each answer held back until
    /// the client's kernel acknowledges the one before it, that would take 40 ms or more every time.
    @Test func answersToSeveralRequestsComeWithoutADelay() async throws {
        try await TestKafka.withPrivateCluster { cluster, _ in
            try cluster.createTopic("many", partitions: 24)
            let producer = try Producer(TestKafka.clientConfiguration(for: cluster, properties: ["linger.ms": "0"])) {
                _ in
            }
            var quickest = Duration.seconds(100)
            for round in 0..<60 {
                let start = ContinuousClock.now
                for number in 0..<60 {
                    try producer.produce(
                        topic: "many", key: Array("\(number)".utf8).span, value: [1].span, headers: nil, tag: 0)
                }
                try await producer.flush(timeoutMs: 60_000)
                // A new connection acknowledges at once for a while.
                if round >= 20 { quickest = min(quickest, ContinuousClock.now - start) }
            }
            await producer.close(timeoutMs: 5_000)
            #expect(quickest < .milliseconds(30))
        }
    }
}
