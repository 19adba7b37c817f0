internal import ArgumentParser

/// What a command acts upon is said in exactly one way: to change everything because nothing was said would be an
/// accident.
struct SelectionRule {
    /// What is selected, such as `rows`.
    let noun: String
    /// The ways beside `--all`, in words, and whether each was used.
    let ways: [(name: String, isUsed: Bool)]
    /// `--all` was given.
    let all: Bool

    /// - Throws: `ValidationError` unless exactly one way was used.
    func validate() throws {
        let names = (ways.map(\.name) + ["or --all"]).joined(separator: ", ")
        switch ways.count(where: \.isUsed) + (all ? 1 : 0) {
        case 0: throw ValidationError("Select \(noun) by one of: \(names).")
        case 1: return
        default: throw ValidationError("Select \(noun) in one way only: \(names).")
        }
    }
}
