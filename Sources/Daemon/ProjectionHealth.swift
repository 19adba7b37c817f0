internal import Operations
internal import Projections
internal import StreamCore
internal import Synchronization

/// Makes watches of what a projection's runner reports: its loop turns whether or not the servers answer, its
/// partitions move when they do.
final class ProjectionHealth: ProjectionObserver {
    private struct Partition {
        let watch: WatchHandle
        var next: Int64
    }

    private let context: DaemonContext
    private let loop: WatchHandle
    private let partitions = Mutex<[TopicPartition: Partition]>([:])

    init(_ context: DaemonContext) {
        self.context = context
        loop = context.health.watch(.loop, "projection loop", limit: context.stallAfter)
        loop.turned(to: .working)
    }

    func loopTurned() {
        loop.progressed()
    }

    func partition(_ partition: TopicPartition, isAt next: Int64, of end: Int64?) {
        context.started()
        partitions.withLock { partitions in
            var entry =
                partitions[partition]
                ?? Partition(
                    watch: context.health.watch(.partition, "\(partition)", limit: context.stallAfter), next: next)
            let isBehind = end.map { next < $0 } ?? false
            entry.watch.turned(to: isBehind ? .working : .idle)
            if next != entry.next { entry.watch.progressed() }
            entry.next = next
            partitions[partition] = entry
        }
    }

    func partitionStopped(_ stopped: StoppedPartition) {
        context.health.notReady(
            "\(stopped.partition)", because: "stopped at offset \(stopped.offset): \(stopped.errorClass)")
    }

    func partitionReleased(_ partition: TopicPartition) {
        context.health.ready("\(partition)")
        partitions.withLock { $0.removeValue(forKey: partition) }?.watch.end()
    }
}
