import OrderShop

/// The faults of `chaos-short` in their order, as a pure function of the seed.
struct ChaosPlan {
    enum Fault: String {
        case relayKilled = "relay_killed"
        case orderSummaryKilled = "order_summary_killed"
        case dashboardKilled = "dashboard_killed"
        case handlerKilled = "dead_letter_handler_killed"
        case queryServiceKilled = "query_service_killed"
        case sqlProjectionKilled = "sql_projection_killed"
        case brokerKilled = "broker_killed"
        case secondProjectionJoined = "second_projection_joined"
        case secondProjectionLeft = "second_projection_left"
    }

    struct Step {
        let fault: Fault
        /// The time between the recovery from the previous fault and this fault.
        let pause: Duration
    }

    let steps: [Step]

    /// Faults that may occur in any order. The second projection leaves before the next fault, because noida-db assigns
    /// the same partitions to both members if it restarts with a group of two members.
    private static let episodes: [[Fault]] = [
        [.relayKilled], [.orderSummaryKilled], [.dashboardKilled], [.handlerKilled], [.queryServiceKilled],
        [.sqlProjectionKilled], [.brokerKilled], [.secondProjectionJoined, .secondProjectionLeft],
    ]

    init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let faults = Self.episodes.shuffled(using: &random).flatMap { $0 }
        steps = faults.map { Step(fault: $0, pause: .milliseconds(Int.random(in: 0...3_000, using: &random))) }
    }
}
