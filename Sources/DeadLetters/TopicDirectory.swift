internal import Kafka
internal import StreamCore

/// Knows which topics exist. A producer that writes to a missing topic waits half a minute, together with all later
/// records.
struct TopicDirectory {
    private let admin: KafkaAdmin
    private var known: Set<String> = []
    private var lastLook: ContinuousClock.Instant?

    /// Time after which a missing topic is searched again.
    private static let interval = Duration.seconds(5)

    init(_ kafka: KafkaClientConfiguration) throws(KafkaError) {
        admin = try KafkaAdmin(kafka)
    }

    /// Returns which of these topics exist. It lists all topics, because some clusters create a topic when a client
    /// asks for it.
    mutating func present(_ topics: Set<String>) async throws(KafkaError) -> Set<String> {
        let isDue = lastLook.map { ContinuousClock.now - $0 >= Self.interval } ?? true
        if !topics.isSubset(of: known), isDue {
            known = Set(try await admin.partitions(of: nil).keys)
            lastLook = .now
        }
        return topics.intersection(known)
    }
}
