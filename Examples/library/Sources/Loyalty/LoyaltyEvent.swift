public import Events
public import WireJSON

/// Points that were earned or spent with a loyalty card.
public struct LoyaltyEvent: EventPayload {
    /// The event types, by their names in the envelope.
    public enum Kind: String, EventType {
        case earned = "PointsEarned"
        case spent = "PointsSpent"

        public var aggregateType: Aggregate { .card }
    }

    /// The kinds of aggregates. The relay publishes the events of a `Card` to the topic `card-events`.
    public enum Aggregate: String, AggregateKind {
        case card = "Card"
    }

    public let type: Kind
    /// At least 1.
    public let points: Int64

    public init(_ type: Kind, points: Int64) {
        self.type = type
        self.points = points
    }

    /// Reads the payload, `{"points": 25}`.
    public static func decode(_ type: Kind, _ fields: inout FieldReader) throws(DecodeProblem) -> LoyaltyEvent {
        var points: Int64?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "points") { points = try fields.integer() } else { try fields.skip() }
        }
        guard let points else { throw DecodeProblem(missing: "points", in: start) }
        guard points > 0 else { throw DecodeProblem(.invalidValue, at: start, "expected at least one point") }
        return LoyaltyEvent(type, points: points)
    }

    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("points", points)
        writer.endObject()
    }
}
