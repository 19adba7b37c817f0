internal import StreamCore

/// Counts events by type. The types are known beforehand, and all other types count as one, so that a metric that has
/// the type as a label has a bound.
struct EventTypes: Sendable {
    /// The types in the order of the counts; the last one stands for all others.
    let names: [String]
    private let indexes: [String: Int]

    static let other = "other"

    init(_ known: [String]) {
        var names: [String] = []
        var indexes: [String: Int] = [:]
        for name in known where name != Self.other && indexes[name] == nil {
            indexes[name] = names.count
            names.append(name)
        }
        self.names = names + [Self.other]
        self.indexes = indexes
    }

    /// No event of any type.
    var none: [Int] { Array(repeating: 0, count: names.count) }

    /// The index of a type's count.
    func index(of type: String) -> Int { indexes[type] ?? names.count - 1 }
}
