internal import Postgres
internal import StreamCore

/// The offsets that a version has applied, in one snapshot.
struct AppliedRanges: Sendable, Hashable {
    struct Partition: Sendable, Hashable {
        /// From the version's start to its current position.
        var offsets: Range<Int64>
        /// Offsets in the range that were not applied, because they are parked.
        var parked: Set<Int64> = []
    }

    var partitions: [TopicPartition: Partition] = [:]

    init(_ partitions: [TopicPartition: Partition]) {
        self.partitions = partitions
    }

    /// Reads the offsets.
    ///
    /// - Parameter transaction: must use one snapshot for all its statements.
    init(of folder: ProjectionFolder, in transaction: PostgresTransaction) async throws {
        let key = Parameters {
            $0.append(folder.name)
            $0.append(Int32(folder.version))
        }
        let results = try await transaction.pipeline([(Self.offsets, key), (Self.parked, key)])
        for row in 0..<results[0].rowCount {
            let partition = try Self.partition(in: results[0], row)
            guard folder.topics.contains(partition.topic) else { continue }
            let start = try results[0].int64(row, 2)
            partitions[partition] = Partition(offsets: start..<max(start, try results[0].int64(row, 3)))
        }
        for row in 0..<results[1].rowCount {
            partitions[try Self.partition(in: results[1], row)]?.parked.insert(try results[1].int64(row, 2))
        }
    }

    /// The offsets of a version that commands apply: from its start to the ends of its topics.
    init(
        of folder: ProjectionFolder, to ends: [TopicPartition: Int64], in transaction: PostgresTransaction
    ) async throws {
        let begins = try await transaction.execute(
            "SELECT topic, partition, start_offset FROM rebuild_ranges WHERE name = $1 AND version = $2",
            Parameters {
                $0.append(folder.name)
                $0.append(Int32(folder.version))
            })
        partitions = ends.mapValues { Partition(offsets: 0..<$0) }
        for row in 0..<begins.rowCount {
            let (partition, start) = (try Self.partition(in: begins, row), try begins.int64(row, 2))
            if let end = ends[partition] { partitions[partition] = Partition(offsets: start..<max(start, end)) }
        }
    }

    private static func partition(in result: QueryResult, _ row: Int) throws -> TopicPartition {
        TopicPartition(topic: try result.string(row, 0), partition: try result.int32(row, 1))
    }

    private static let offsets: Statement = """
        SELECT o.topic, o.partition, coalesce(r.start_offset, 0), o.next_offset
        FROM projection_offsets AS o JOIN projections AS p ON p.id = o.projection_id
        LEFT JOIN rebuild_ranges AS r
            ON r.name = p.name AND r.version = p.version AND r.topic = o.topic AND r.partition = o.partition
        WHERE p.name = $1 AND p.version = $2
        """
    private static let parked: Statement = """
        SELECT e.topic, e.partition, e.record_offset
        FROM parked_events AS e JOIN projections AS p ON p.id = e.projection_id
        WHERE p.name = $1 AND p.version = $2
        """
}

/// The position of a replay, and the records that it must read to reach the version. This is a pure value.
///
/// The version continues while the replay reads, so the replay follows it in passes. Each pass reads the records that
/// the version has applied since the pass before: new records, and earlier records that were parked then and are no
/// longer. The records of a partition are read in the order of their offsets, so a released event comes before later
/// events of its key, as in the version.
struct ReplayPosition: Sendable {
    /// The version went back to an earlier position.
    struct MovedBack: Error, Hashable {
        let partition: TopicPartition
    }

    /// The records that one pass reads and applies.
    struct Pass: Sendable, Hashable {
        /// The offsets to read in each partition.
        fileprivate(set) var ranges: [TopicPartition: Range<Int64>] = [:]
        /// The first offset of the new records in each partition.
        fileprivate var begins: [TopicPartition: Int64] = [:]
        /// Earlier records that are applied now.
        fileprivate var released: [TopicPartition: Set<Int64>] = [:]
        /// New records that are not applied.
        fileprivate var parked: [TopicPartition: Set<Int64>] = [:]

        /// The maximum number of records to read.
        var count: Int64 { ranges.values.reduce(0) { $0 + $1.upperBound - $1.lowerBound } }

        /// Whether a record that was read is applied.
        func applies(_ partition: TopicPartition, _ offset: Int64) -> Bool {
            guard offset >= begins[partition] ?? 0 else { return released[partition]?.contains(offset) == true }
            return parked[partition]?.contains(offset) != true
        }
    }

    /// The last snapshot that was replayed.
    private var last = AppliedRanges([:])

    /// The pass that brings the replay to the position of the version.
    ///
    /// - Throws: ``MovedBack`` if the version has dropped offsets that it had applied.
    func pass(to applied: AppliedRanges) throws(MovedBack) -> Pass {
        for partition in last.partitions.keys where applied.partitions[partition] == nil {
            throw MovedBack(partition: partition)
        }
        var pass = Pass()
        for (partition, now) in applied.partitions {
            let before = last.partitions[partition]
            let begin = before?.offsets.upperBound ?? now.offsets.lowerBound
            let end = now.offsets.upperBound
            let isParkedAgain = now.parked.contains { offset in
                before.map { $0.offsets.contains(offset) && !$0.parked.contains(offset) } ?? false
            }
            guard end >= begin, before.map({ $0.offsets.lowerBound == now.offsets.lowerBound }) ?? true, !isParkedAgain
            else { throw MovedBack(partition: partition) }
            let earlier = now.offsets.lowerBound..<begin
            let released = Set((before?.parked ?? []).subtracting(now.parked).filter { earlier.contains($0) })
            let first = min(begin, released.min() ?? begin)
            guard first < end else { continue }
            pass.ranges[partition] = first..<end
            pass.begins[partition] = begin
            pass.released[partition] = released
            pass.parked[partition] = now.parked
        }
        return pass
    }

    /// Notes that a pass was read and applied.
    mutating func passed(to applied: AppliedRanges) {
        last = applied
    }
}
