internal import StreamCore

/// Counts events by type. All unknown types count as one, so that a metric with the type as a label has a limited
/// number of series.
struct EventTypes: Sendable {
    /// The types in the order of the counts. The last one stands for all other types.
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

    /// Counts of zero.
    var none: [Int] { Array(repeating: 0, count: names.count) }

    /// The index of a type's count.
    func index(of type: String) -> Int { indexes[type] ?? names.count - 1 }
}
