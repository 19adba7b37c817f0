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
    /// The partition is no longer ours.
    func partitionReleased(_ partition: TopicPartition)
}
