internal import Kafka
public import StreamCore

/// The position at which a rebuild begins to read.
public enum RebuildStart: Sendable, Equatable {
    /// At offset 0 of every partition. Kafka must still have these records.
    case beginning
    /// At the oldest record that Kafka has.
    case oldest
    /// At the first record with this timestamp or a later one, in milliseconds since 1970.
    case time(Int64)
    /// At these offsets. Partitions that are not listed begin at 0.
    case offsets([TopicPartition: Int64])

    /// The offsets at which the partitions begin.
    ///
    /// - Parameters:
    ///   - watermarks: the offsets that Kafka has of each partition.
    ///   - timed: the offsets for ``time(_:)``. A partition without a record since that time begins at its end.
    /// - Throws: ``RebuildRefusal`` if Kafka does not have the first record.
    func offsets(
        in watermarks: [TopicPartition: Watermarks], timed: [TopicPartition: Int64] = [:]
    ) throws(RebuildRefusal) -> [TopicPartition: Int64] {
        var starts: [TopicPartition: Int64] = [:]
        for (partition, marks) in watermarks.sorted(by: { $0.key < $1.key }) {
            switch self {
            case .beginning: starts[partition] = try Self.checked(0, partition, marks)
            case .oldest: starts[partition] = marks.low
            case .time: starts[partition] = timed[partition] ?? marks.high
            case .offsets(let offsets): starts[partition] = try Self.checked(offsets[partition] ?? 0, partition, marks)
            }
        }
        if case .offsets(let offsets) = self, let unknown = offsets.keys.filter({ watermarks[$0] == nil }).min() {
            throw RebuildRefusal(.historyIsIncomplete, "the topics to read have no partition \(unknown)")
        }
        return starts
    }

    private static func checked(
        _ offset: Int64, _ partition: TopicPartition, _ marks: Watermarks
    ) throws(RebuildRefusal) -> Int64 {
        guard offset >= marks.low else {
            throw RebuildRefusal(
                .historyIsIncomplete,
                """
                Kafka no longer has the beginning of \(partition): its oldest record is at offset \(marks.low). To \
                rebuild from the oldest record, give --from oldest
                """)
        }
        guard offset <= marks.high else {
            throw RebuildRefusal(
                .historyIsIncomplete, "\(partition) ends at offset \(marks.high), before offset \(offset)")
        }
        return offset
    }
}
