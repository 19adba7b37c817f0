internal import Postgres
internal import StreamCore

/// The runner's statements on the table `circuit_breakers`. Only the owner of a partition writes its rows, in the
/// transaction that moves its offset. An operator may delete them at any time; later failures then count from zero.
struct CircuitBreakerTable: Sendable {
    let projectionID: Int16

    /// Selects all counts of partitions; ``counts(in:)`` reads the result.
    func select(_ partitions: [TopicPartition]) -> (Statement, Parameters) {
        var topics = TextArray()
        var numbers = Int32Array()
        for partition in partitions {
            topics.append(partition.topic)
            numbers.append(partition.partition)
        }
        let parameters = Parameters {
            $0.append(projectionID)
            $0.append(topics)
            $0.append(numbers)
        }
        return (Self.selectCounts, parameters)
    }

    /// Writes the changes of a tally: deletes counts that ended, and then adds failures. The last result contains the
    /// counts that were increased, for ``counts(in:)``.
    func count(_ tally: FailureTally) -> [(Statement, Parameters)] {
        var ended = Rows()
        var added = Rows()
        for (partition, changes) in tally.changes.sorted(by: { $0.key < $1.key }) {
            for (kind, change) in changes.sorted(by: { $0.key < $1.key }) {
                if change.isReset { ended.append(partition, kind, 0) }
                if change.added > 0 { added.append(partition, kind, change.added) }
            }
        }
        return [
            (Self.deleteEnded, Parameters { ended.encode(projectionID, to: &$0, withCounts: false) }),
            (
                Self.addFailures,
                Parameters {
                    added.encode(projectionID, to: &$0, withCounts: true)
                    $0.append(Int32(clamping: tally.limit))
                }
            ),
        ]
    }

    private struct Rows {
        private var topics = TextArray()
        private var numbers = Int32Array()
        private var classes = TextArray()
        private var types = TextArray()
        private var failures = Int32Array()

        mutating func append(_ partition: TopicPartition, _ kind: FailureCounts.Kind, _ count: Int) {
            topics.append(partition.topic)
            numbers.append(partition.partition)
            classes.append(kind.errorClass)
            types.append(kind.eventType)
            failures.append(Int32(clamping: count))
        }

        func encode(_ projectionID: Int16, to parameters: inout Parameters, withCounts: Bool) {
            parameters.append(projectionID)
            parameters.append(topics)
            parameters.append(numbers)
            parameters.append(classes)
            parameters.append(types)
            if withCounts { parameters.append(failures) }
        }
    }

    static func counts(
        in result: QueryResult
    ) throws -> [(partition: TopicPartition, kind: FailureCounts.Kind, count: FailureCounts.Count)] {
        try (0..<result.rowCount).map { row in
            (
                TopicPartition(topic: try result.string(row, 0), partition: try result.int32(row, 1)),
                FailureCounts.Kind(errorClass: try result.string(row, 2), eventType: try result.string(row, 3)),
                FailureCounts.Count(failures: Int(try result.int32(row, 4)), isOpen: try result.bool(row, 5))
            )
        }
    }

    private static let selectCounts = Statement(
        """
        SELECT topic, partition, error_class, event_type, failures, opened_at IS NOT NULL FROM circuit_breakers
        WHERE projection_id = $1
            AND (topic, partition) IN (SELECT topic, partition FROM unnest($2, $3) AS wanted (topic, partition))
        """)
    private static let deleteEnded = Statement(
        """
        DELETE FROM circuit_breakers AS b
        USING unnest($2, $3, $4, $5) AS ended (topic, partition, error_class, event_type)
        WHERE b.projection_id = $1 AND (b.topic, b.partition, b.error_class, b.event_type)
            = (ended.topic, ended.partition, ended.error_class, ended.event_type)
        """)
    private static let addFailures = Statement(
        """
        INSERT INTO circuit_breakers AS b (projection_id, topic, partition, error_class, event_type, failures, opened_at)
        SELECT $1, topic, partition, error_class, event_type, added, CASE WHEN added >= $7 THEN clock_timestamp() END
        FROM unnest($2, $3, $4, $5, $6) AS counted (topic, partition, error_class, event_type, added)
        ORDER BY topic, partition, event_type, error_class
        ON CONFLICT (projection_id, topic, partition, error_class, event_type) DO UPDATE SET
            failures = b.failures + excluded.failures, updated_at = clock_timestamp(),
            opened_at = CASE WHEN b.failures + excluded.failures >= $7
                THEN coalesce(b.opened_at, clock_timestamp()) ELSE b.opened_at END
        RETURNING topic, partition, error_class, event_type, failures, opened_at IS NOT NULL
        """)
}
