internal import ArgumentParser

/// Checks that the objects of a command are selected in exactly one way. A command without a selection must not change
/// everything.
package struct SelectionRule {
    /// The selected objects, such as `rows`.
    let noun: String
    /// The ways of selection other than `--all`, and whether each was used.
    let ways: [(name: String, isUsed: Bool)]
    /// Whether `--all` was used.
    let all: Bool

    package init(noun: String, ways: [(name: String, isUsed: Bool)], all: Bool) {
        self.noun = noun
        self.ways = ways
        self.all = all
    }

    /// - Throws: `ValidationError` unless exactly one way was used.
    package func validate() throws {
        let names = (ways.map(\.name) + ["or --all"]).joined(separator: ", ")
        switch ways.count(where: \.isUsed) + (all ? 1 : 0) {
        case 0: throw ValidationError("Select \(noun) by one of: \(names).")
        case 1: return
        default: throw ValidationError("Select \(noun) in one way only: \(names).")
        }
    }
}
