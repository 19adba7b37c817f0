public import Daemon
internal import Operations
public import Projections
public import StreamCore
internal import Synchronization

/// Converts the reports of a projection's runner to health checks. Its loop runs whether or not the servers answer; its
/// partitions move only if they answer.
public final class ProjectionHealth: ProjectionObserver {
    private struct Partition {
        let watch: WatchHandle
        var next: Int64
    }

    private let context: DaemonContext
    private let projection: String
    private let needsPartitions: Bool
    private let loop: WatchHandle
    private let partitions = Mutex<[TopicPartition: Partition]>([:])

    /// - Parameter needsPartitions: whether the daemon is ready only with partitions. Use false if the topics may not
    ///   exist yet, because the consumer group then assigns nothing.
    public init(_ context: DaemonContext, projection: String, needsPartitions: Bool = true) {
        self.context = context
        self.projection = projection
        self.needsPartitions = needsPartitions
        loop = context.health.watch(.loop, "projection loop of \(projection)", limit: context.stallAfter)
        loop.turned(to: .working)
        awaitsAssignment("the consumer group has not assigned partitions yet")
    }

    /// The name of the condition. It affects only readiness, so a rolling upgrade does not stop the next process while
    /// this one has no partitions yet.
    private var assignment: String { "partitions of \(projection)" }

    /// The name of a partition's check. A daemon may run several projections on one topic, so the partition alone is
    /// not unique.
    private func name(of partition: TopicPartition) -> String { "\(partition) of \(projection)" }

    public func assignmentBegan() {
        context.health.ready(assignment)
    }

    public func assignmentEnded() {
        awaitsAssignment("the consumer group is assigning partitions again")
    }

    private func awaitsAssignment(_ reason: String) {
        if needsPartitions { context.health.notReady(assignment, because: reason) }
    }

    public func loopTurned() {
        loop.progressed()
    }

    public func partition(_ partition: TopicPartition, isAt next: Int64, of end: Int64?) {
        context.started()
        partitions.withLock { partitions in
            var entry =
                partitions[partition]
                ?? Partition(
                    watch: context.health.watch(.partition, name(of: partition), limit: context.stallAfter), next: next)
            let isBehind = end.map { next < $0 } ?? false
            entry.watch.turned(to: isBehind ? .working : .idle)
            if next != entry.next { entry.watch.progressed() }
            entry.next = next
            partitions[partition] = entry
        }
    }

    public func partitionStopped(_ stopped: StoppedPartition) {
        context.health.notReady(
            name(of: stopped.partition), because: "stopped at offset \(stopped.offset): \(stopped.errorClass)")
    }

    public func partition(_ partition: TopicPartition, isHeldBy hold: PartitionHold, because reason: String) {
        context.health.notReady(condition(partition, hold), because: reason)
    }

    public func partition(_ partition: TopicPartition, isNoLongerHeldBy hold: PartitionHold) {
        context.health.forget(condition(partition, hold))
    }

    private func condition(_ partition: TopicPartition, _ hold: PartitionHold) -> String {
        "\(name(of: partition)) \(hold.rawValue)"
    }

    public func databaseFailing(because reason: String) {
        context.health.notReady(database, because: reason)
    }

    public func databaseRecovered() {
        context.health.ready(database)
    }

    private var database: String { "database of \(projection)" }

    public func partitionReleased(_ partition: TopicPartition) {
        context.health.forget(name(of: partition))
        for hold in PartitionHold.allCases { context.health.forget(condition(partition, hold)) }
        partitions.withLock { $0.removeValue(forKey: partition) }?.watch.end()
    }

    /// Removes the checks of a runner that has ended while the daemon continues, for example because its consumer is
    /// paused.
    func ended() {
        loop.end()
        for partition in partitions.withLock({ Array($0.keys) }) { partitionReleased(partition) }
        context.health.forget(assignment)
        context.health.forget(database)
    }
}
