internal import Postgres
internal import StreamCore

/// Writes a batch of notices with one statement for each step: find the letters, fold, insert, update, history,
/// promotion, alerts.
struct IngestWriter: Sendable {
    let policies: RetryPolicies
    let results: ReplayResults
    let due: DueSignal
    /// Maximum number of letters of one key that may be sent together.
    let largestSet: Int
    /// Milliseconds until a letter is tried again that the consumer reports as blocked although no letter is before it.
    let blockedHeadMs: Int

    /// If two handlers insert the same letter, the second one reads again. It can lose this race only as often as other
    /// sessions insert the same letters.
    private static let rounds = 10

    func write(_ notices: [LetterNotice], in transaction: PostgresTransaction) async throws {
        var random = SystemRandomNumberGenerator()
        let fold = IngestFold(notices)
        if !fold.breakers.isEmpty { try await IngestStatements.insertBreakers(fold.breakers, transaction) }
        var open = fold.entries
        var changed: [ChangedLetter] = []
        var groups: [GroupKey] = []
        for _ in 0..<Self.rounds where !open.isEmpty {
            let known = try await IngestStatements.find(open, transaction)
            var fresh: [ChangedLetter] = []
            var updated: [ChangedLetter] = []
            // Two names may denote one letter, if one name contains more information.
            var places: [Int64: Int] = [:]
            for (index, entry) in open.enumerated() {
                if let (letterID, life) = known[index] {
                    let place = places[letterID] ?? updated.count
                    if place == updated.count {
                        updated.append(ChangedLetter(entry.name, letterID: letterID, life: life))
                        places[letterID] = place
                    }
                    updated[place].receive(entry, policies: policies, using: &random)
                } else if let letter = ChangedLetter(new: entry, policies: policies, using: &random) {
                    fresh.append(letter)
                }
            }
            updated.removeAll { !$0.life.isChanged }
            groups += try await IngestStatements.newGroups(of: fresh + updated, transaction)
            if !updated.isEmpty { try await IngestStatements.update(updated, transaction) }
            let lettersIDs = fresh.isEmpty ? [:] : try await IngestStatements.insert(fresh, transaction)
            for index in fresh.indices { fresh[index].letterID = lettersIDs[fresh[index].name] }
            // Another session inserted a letter without a number in the meantime.
            let missed = Set(fresh.filter { $0.letterID == nil }.map(\.name))
            changed += updated + fresh.filter { $0.letterID != nil }
            open.removeAll { !missed.contains($0.name) }
        }
        guard open.isEmpty else { throw LetterRace() }
        guard !changed.isEmpty else { return }
        try await IngestStatements.insertHistory(changed, transaction)
        let promoted = try await SequencePromotion.promote(
            after: changed, largestSet: largestSet, blockedHeadMs: blockedHeadMs, transaction)
        if promoted > 0 { due.note() }
        if !groups.isEmpty { try await IngestStatements.insertNewGroupAlerts(groups, transaction) }
        results.count(changed)
    }
}

/// Other sessions repeatedly inserted the same letters.
struct LetterRace: Error {}

/// The common properties of letters with one cause.
struct GroupKey: Sendable, Hashable {
    let consumer: String
    let errorClass: String
    let fingerprint: String
}
