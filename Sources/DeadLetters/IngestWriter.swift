internal import Postgres
internal import StreamCore

/// Writes a batch of notices: find the letters, fold, insert, update, history, promotion, alerts; a statement each.
struct IngestWriter: Sendable {
    let policies: RetryPolicies
    let results: ReplayResults
    let due: DueSignal
    /// Letters of one sequence that may be sent at once.
    let largestSet: Int
    /// Milliseconds until a letter is tried again that the consumer calls blocked though none is before it.
    let blockedHeadMs: Int

    /// Two handlers that meet over one letter: who comes second reads again. It can lose that race only as often as
    /// others insert the very same letters.
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
            // Two names may mean one letter, where one says more than the other.
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
            // Who has no number was inserted by somebody else meanwhile.
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

/// The same letters were inserted by others again and again.
struct LetterRace: Error {}

/// What letters of one cause share.
struct GroupKey: Sendable, Hashable {
    let consumer: String
    let errorClass: String
    let fingerprint: String
}
