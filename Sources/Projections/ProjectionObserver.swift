public import StreamCore

/// Hears how a projection fares, partition by partition: what health checks are made of. Called from the runner's
/// loop, so it must return at once.
public protocol ProjectionObserver: Sendable {
    /// The runner's loop moves; called several times a second as long as it does.
    func loopTurned()
    /// The partition is ours, and stands at `next`; called about once a second.
    ///
    /// - Parameters:
    ///   - next: the next offset to apply; everything below is committed in PostgreSQL.
    ///   - end: the offset that the next record produced will get; nil while it is not known, and for a partition that
    ///     stopped, which has nowhere to go.
    func partition(_ partition: TopicPartition, isAt next: Int64, of end: Int64?)
    /// The partition stopped, and stays so until it is assigned anew.
    func partitionStopped(_ stopped: StoppedPartition)
    /// The partition takes nothing for a while, and goes on by itself when it can.
    ///
    /// - Parameter reason: for people, without values from records.
    func partition(_ partition: TopicPartition, isHeldBy hold: PartitionHold, because reason: String)
    /// What held the partition is over.
    func partition(_ partition: TopicPartition, isNoLongerHeldBy hold: PartitionHold)
    /// The database cannot be reached, or refuses all work; it is tried again.
    ///
    /// - Parameter reason: for people, without values from records.
    func databaseFailing(because reason: String)
    /// The database works again.
    func databaseRecovered()
    /// The partition is no longer ours.
    func partitionReleased(_ partition: TopicPartition)
}

/// What holds a partition until it passes.
public enum PartitionHold: String, Sendable, CaseIterable {
    /// Its circuit breaker is open: too many events failed.
    case circuitBreaker = "circuit breaker"
    /// An event that cannot be applied cannot become a dead letter either: Kafka takes none.
    case deadLetters = "dead letters"
}
