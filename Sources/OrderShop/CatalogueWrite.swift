internal import Postgres
internal import StreamCore

/// Writes events of the catalogue to the outbox, each with the next sequence of its aggregate, in one statement.
struct CatalogueWrite {
    /// Which aggregates get the events.
    enum Target {
        /// Those that have none yet.
        case new
        case all
    }

    let statement: Statement
    let parameters: Parameters

    /// - Parameter events: of an aggregate, one at most.
    init(_ events: [CatalogueEvent], for target: Target, using random: inout some RandomNumberGenerator) {
        var (types, aggregateTypes, aggregateIDs) = (TextArray(), TextArray(), TextArray())
        var (eventIDs, times, payloads) = (UUIDArray(), TimestampArray(), JSONArray())
        for event in events {
            let now = Timestamp.now
            types.append(event.type)
            aggregateTypes.append(event.aggregateType)
            aggregateIDs.append(event.aggregateID)
            eventIDs.append(EventID(version7At: now, using: &random))
            times.append(now)
            payloads.append(json: event.payload)
        }
        statement = target == .new ? Self.insertion : Self.change
        parameters = Parameters { parameters in
            parameters.append(types)
            parameters.append(aggregateTypes)
            parameters.append(aggregateIDs)
            parameters.append(eventIDs)
            parameters.append(times)
            parameters.append(payloads)
        }
    }

    private static func text(onConflict action: String) -> String {
        """
        WITH given AS (
            SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
                AS u (event_type, aggregate_type, aggregate_id, event_id, at, payload)
        ), advanced AS (
            INSERT INTO shop_aggregates AS s (aggregate_type, aggregate_id, last_sequence)
            SELECT aggregate_type, aggregate_id, 1 FROM given ORDER BY 1, 2
            ON CONFLICT (aggregate_type, aggregate_id) DO \(action)
            RETURNING aggregate_type, aggregate_id, last_sequence
        )
        INSERT INTO outbox (event_id, event_type, aggregate_type, aggregate_id, sequence, occurred_at, correlation_id,
            metadata, payload)
        SELECT g.event_id, g.event_type, g.aggregate_type, g.aggregate_id, a.last_sequence, g.at, g.event_id::text,
            '{"source":"order-shop"}', g.payload
        FROM given AS g JOIN advanced AS a USING (aggregate_type, aggregate_id)
        """
    }

    private static let insertion = Statement(text(onConflict: "NOTHING"))
    private static let change = Statement(text(onConflict: "UPDATE SET last_sequence = s.last_sequence + 1"))
}
