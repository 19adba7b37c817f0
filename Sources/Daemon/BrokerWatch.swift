internal import Kafka
internal import Operations

/// Asks every few seconds whether the brokers answer, which makes a daemon ready or not, and never live or not.
///
/// Clients tell when all brokers are lost, but an idle one does not tell when they are back.
struct BrokerWatch: Sendable {
    static let condition = "kafka"
    /// A stop waits for an answer under way.
    private static let timeoutMs: Int32 = 2_000
    private static let interval = Duration.seconds(5)

    let kafka: KafkaClientConfiguration
    let health: HealthRegistry
    let stallAfter: Duration

    /// Asks until the task is cancelled.
    func run() async {
        let loop = health.watch(.loop, "broker loop", limit: stallAfter + Self.interval)
        loop.turned(to: .working)
        health.notReady(Self.condition, because: "not reached yet")
        var admin: KafkaAdmin?
        while !Task.isCancelled {
            do throws(KafkaError) {
                let client = if let admin { admin } else { try KafkaAdmin(kafka, timeoutMs: Self.timeoutMs) }
                admin = client
                _ = try await client.brokers()
                health.ready(Self.condition)
            } catch {
                health.notReady(Self.condition, because: "\(error)")
            }
            loop.progressed()
            // Cut short by a stop, which the loop looks at.
            try? await Task.sleep(for: Self.interval)
        }
        loop.end()
    }
}
