public import StreamCore

/// A step in the path of an aggregate's events.
public struct TraceStep: Sendable, Hashable, Encodable {
    /// The time of the step; nil if it is not recorded. The step then appears after the step that caused it.
    public let at: Timestamp?
    /// The place: `outbox row 7`, a topic with partition and offset, a projection, `dead letter 42`.
    public let place: String
    public let text: String
    /// The order of steps with the same time.
    let order: Int

    init(_ at: Timestamp?, _ place: String, _ text: String, order: Int) {
        self.at = at
        self.place = place
        self.text = text
        self.order = order
    }

    private enum CodingKeys: String, CodingKey {
        case at, place, text
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(at?.description, forKey: .at)
        try container.encode(place, forKey: .place)
        try container.encode(text, forKey: .text)
    }
}

/// Steps ordered by time. A pure value.
public struct TraceTimeline: Sendable {
    /// A step, and the time since the previous step with a time, in microseconds.
    public struct Entry: Sendable {
        public let step: TraceStep
        public let after: Int64?
    }

    /// Each group begins with a step that has a time, followed by steps without one.
    private var groups: [[TraceStep]] = []

    public init() {}

    /// Adds steps that result from each other. Steps without a time stay after the step with a time that precedes them.
    mutating func add(_ steps: [TraceStep]) {
        var group: [TraceStep] = []
        for step in steps {
            if step.at != nil, !group.isEmpty {
                groups.append(group)
                group = []
            }
            group.append(step)
        }
        if !group.isEmpty { groups.append(group) }
    }

    public var isEmpty: Bool { groups.isEmpty }

    public var entries: [Entry] {
        let sorted = groups.enumerated().sorted { left, right in
            let (one, other) = (left.element[0], right.element[0])
            let (first, second) = (one.at ?? Self.never, other.at ?? Self.never)
            return (first, one.order, left.offset) < (second, other.order, right.offset)
        }
        var entries: [Entry] = []
        var last: Timestamp?
        for step in sorted.flatMap(\.element) {
            let after = step.at.flatMap { at in last.map { at.microseconds - $0.microseconds } }
            entries.append(Entry(step: step, after: after))
            last = step.at ?? last
        }
        return entries
    }

    /// The position of groups without any time, which come last.
    private static let never = Timestamp(microseconds: .max)
}
