public import Events
public import Postgres
public import Projections
import StreamCore

/// The read model `loyalty_points`: the current points of each card.
public struct PointsProjection: EventProjection {
    public typealias Payload = LoyaltyEvent

    public let name = "loyalty-points"
    public let version = 1
    public let topics: [String]
    public let isReproducible = true

    public init(topicSuffix: String = "-events") {
        topics = LoyaltyEvent.Aggregate.topics(suffix: topicSuffix)
    }

    /// Sums the batch by card and writes the sums with one statement. The cards are sorted, so that two writers cannot
    /// deadlock.
    public func apply(_ events: [Event<LoyaltyEvent>], in transaction: PostgresTransaction) async throws {
        var changes: [ExactText: (points: Int64, at: Timestamp)] = [:]
        for event in events {
            let card = ExactText(event.identity.aggregateID)
            let change = event.type == .earned ? event.payload.points : -event.payload.points
            let known = changes[card] ?? (0, event.identity.timestamp)
            changes[card] = (known.points + change, max(known.at, event.identity.timestamp))
        }
        var (cards, points, times) = (TextArray(), Int64Array(), TimestampArray())
        for (card, change) in changes.sorted(by: { $0.key < $1.key }) {
            cards.append(card.text)
            points.append(change.points)
            times.append(change.at)
        }
        var parameters = Parameters()
        parameters.append(cards)
        parameters.append(points)
        parameters.append(times)
        try await transaction.enqueue(Self.merge, parameters)
    }

    private static let merge: Statement = """
        INSERT INTO loyalty_points AS p (card_id, points, updated_at)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[])
        ON CONFLICT (card_id) DO UPDATE SET
            points = p.points + EXCLUDED.points, updated_at = greatest(p.updated_at, EXCLUDED.updated_at)
        """
}
