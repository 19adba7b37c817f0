import EmbeddedKafka
import Kafka
import TestKit
import Testing

/// Properties that the mock cluster shares with a real broker.
@Suite struct MockClusterTests {
    /// A client that sends requests for many partitions at the same time gets all answers immediately. If the mock
    /// delayed each answer until the client's kernel acknowledges the previous one, every flush would take 40 ms or
    /// more.
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
                // A new connection sends its acknowledgements without delay at first, so the first rounds do not count.
                if round >= 20 { quickest = min(quickest, ContinuousClock.now - start) }
            }
            await producer.close(timeoutMs: 5_000)
            #expect(quickest < .milliseconds(30))
        }
    }
}
