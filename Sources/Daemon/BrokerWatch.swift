internal import Kafka
internal import Operations

/// Checks every few seconds whether the brokers answer. The result decides whether a daemon is ready, but never whether
/// it is live.
///
/// Clients report when all brokers are unavailable, but an idle client does not report when they are available again.
struct BrokerWatch: Sendable {
    static let condition = "kafka"
    /// The timeout of a request. It is short, because a shutdown waits for a request in progress.
    private static let timeoutMs: Int32 = 2_000
    private static let interval = Duration.seconds(5)

    let kafka: KafkaClientConfiguration
    let health: HealthRegistry
    let stallAfter: Duration

    /// Checks until the task is cancelled.
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
            // A cancellation ends the sleep early, and then the loop.
            try? await Task.sleep(for: Self.interval)
        }
        loop.end()
    }
}
