internal import Kafka
internal import StreamCore

/// Which topics there are: a producer asked to write to one that is not there waits half a minute, and everything
/// behind with it.
struct TopicDirectory {
    private let admin: KafkaAdmin
    private var known: Set<String> = []
    private var lastLook: ContinuousClock.Instant?

    /// A topic that is missing is looked for again after this.
    private static let interval = Duration.seconds(5)

    init(_ kafka: KafkaClientConfiguration) throws(KafkaError) {
        admin = try KafkaAdmin(kafka)
    }

    /// Which of these exist. All topics are listed, since who asks about one makes it on some clusters.
    mutating func present(_ topics: Set<String>) async throws(KafkaError) -> Set<String> {
        let isDue = lastLook.map { ContinuousClock.now - $0 >= Self.interval } ?? true
        if !topics.isSubset(of: known), isDue {
            known = Set(try await admin.partitions(of: nil).keys)
            lastLook = .now
        }
        return topics.intersection(known)
    }
}
