internal import Postgres
internal import Projections
internal import StreamCore

/// The last sequence of each aggregate. Projections use it to apply an event only if it is the next one of its
/// aggregate.
struct SequenceTable: Sendable {
    /// The table's name in the version's schema.
    static let name = "millrace_sequences"

    static let definition = """
        CREATE TABLE \(name) (
            aggregate_type text NOT NULL,
            aggregate_id text NOT NULL,
            last_sequence bigint NOT NULL,
            PRIMARY KEY (aggregate_type, aggregate_id)
        );
        """

    fileprivate struct Aggregate: Hashable {
        let type: String
        let id: String
    }

    struct Known {
        fileprivate var last: [Aggregate: Int64] = [:]
    }

    private let select: Statement
    private let upsert: Statement

    init(schema: String) {
        let table = "\(SQLIdentifier.quoted(schema)).\(Self.name)"
        // The rows are locked in a fixed order, which prevents deadlocks between two owners.
        select = Statement(
            """
            SELECT aggregate_type, aggregate_id, last_sequence FROM \(table)
            WHERE (aggregate_type, aggregate_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
            ORDER BY aggregate_type, aggregate_id FOR UPDATE
            """)
        upsert = Statement(
            """
            INSERT INTO \(table) AS t SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
            ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET last_sequence = excluded.last_sequence
            """)
    }

    /// Reads and locks the rows of the events' aggregates.
    func lock(_ events: [SQLEvent]) -> (Statement, Parameters) {
        var (types, ids) = (TextArray(), TextArray())
        for aggregate in Set(events.map { Aggregate(type: $0.aggregateType, id: $0.aggregateID) }) {
            types.append(aggregate.type)
            ids.append(aggregate.id)
        }
        return (
            select,
            Parameters {
                $0.append(types)
                $0.append(ids)
            }
        )
    }

    func read(_ answers: [QueryResult]) throws(PostgresError) -> Known {
        var known = Known()
        for result in answers {
            for row in 0..<result.rowCount {
                let aggregate = Aggregate(type: try result.string(row, 0), id: try result.string(row, 1))
                known.last[aggregate] = try result.int64(row, 2)
            }
        }
        return known
    }

    /// Records the events as applied.
    ///
    /// - Throws: `EventFailure` for the first event that is not the next one of its aggregate.
    func advance(_ events: [SQLEvent], from known: Known) throws(EventFailure) -> (Statement, Parameters) {
        var last = known.last
        for event in events {
            let aggregate = Aggregate(type: event.aggregateType, id: event.aggregateID)
            let next = (last[aggregate] ?? 0) + 1
            guard event.sequence == next else { throw Self.failure(event, expected: next) }
            last[aggregate] = next
        }
        var (types, ids, sequences) = (TextArray(), TextArray(), Int64Array())
        for (aggregate, sequence) in last.sorted(by: { ($0.key.type, $0.key.id) < ($1.key.type, $1.key.id) }) {
            types.append(aggregate.type)
            ids.append(aggregate.id)
            sequences.append(sequence)
        }
        return (
            upsert,
            Parameters {
                $0.append(types)
                $0.append(ids)
                $0.append(sequences)
            }
        )
    }

    private static func failure(_ event: SQLEvent, expected: Int64) -> EventFailure {
        let (errorClass, what) =
            switch event.sequence {
            case 0: ("sequence_missing", "the event has no sequence")
            case expected...: ("sequence_gap", "events between the last one of the aggregate and this one are missing")
            default: ("sequence_repeated", "another event of the aggregate with this sequence was applied")
            }
        return EventFailure(errorClass, what + "; strict_sequence is set", eventID: event.eventID)
    }
}
