public import StreamCore

/// Receives the progress of a projection, partition by partition, for health checks. The runner's loop calls the
/// methods, so they must return at once.
public protocol ProjectionObserver: Sendable {
    /// The runner's loop makes progress; called several times a second. Not called while the projection's own code
    /// hangs, unless it waits for the database.
    func loopTurned()
    /// The consumer group has assigned partitions to this process, possibly none.
    func assignmentBegan()
    /// This process gave up or lost its partitions, and waits for the next assignment.
    func assignmentEnded()
    /// This process owns the partition, whose next offset is `next`; called about once a second.
    ///
    /// - Parameters:
    ///   - partition: the partition.
    ///   - next: the next offset to apply. All lower offsets are committed in PostgreSQL.
    ///   - end: the offset of the next record to be produced; nil while it is unknown, and for a stopped partition.
    func partition(_ partition: TopicPartition, isAt next: Int64, of end: Int64?)
    /// The partition stopped. It continues after it is assigned again.
    func partitionStopped(_ stopped: StoppedPartition)
    /// The partition is held for some time and continues by itself.
    ///
    /// - Parameter reason: a text for operators, without values from records.
    func partition(_ partition: TopicPartition, isHeldBy hold: PartitionHold, because reason: String)
    /// The hold of the partition has ended.
    func partition(_ partition: TopicPartition, isNoLongerHeldBy hold: PartitionHold)
    /// The database is unreachable or refuses all work. The runner tries again.
    ///
    /// - Parameter reason: a text for operators, without values from records.
    func databaseFailing(because reason: String)
    /// The database works again.
    func databaseRecovered()
    /// This process no longer owns the partition.
    func partitionReleased(_ partition: TopicPartition)
}

/// The reason of a temporary hold of a partition.
public enum PartitionHold: String, Sendable, CaseIterable {
    /// Its circuit breaker is open: too many events failed.
    case circuitBreaker = "circuit breaker"
    /// An event cannot be applied, and Kafka accepts no dead letter for it.
    case deadLetters = "dead letters"
}
