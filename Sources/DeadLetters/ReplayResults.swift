internal import Metrics
internal import Synchronization

/// Counts the results of retries by consumer. A repeated transaction counts again.
final class ReplayResults: Sendable {
    private struct Key: Hashable {
        let consumer: String
        let result: String
    }

    private let counters = Mutex<[Key: Counter]>([:])

    /// Maximum number of counters. Letters of other programs may contain any consumer name. Further names are counted
    /// as `other`.
    private static let limit = 500
    private static let results: Set<String> = [
        "resolved", "failed_again", "blocked_again", "discard_confirmed", "reopened", "parked",
    ]

    func count(_ letters: [ChangedLetter]) {
        var counts: [Key: Int] = [:]
        for letter in letters {
            for entry in letter.life.history where Self.results.contains(entry.action) {
                counts[Key(consumer: letter.name.consumer, result: entry.action), default: 0] += 1
            }
        }
        for (key, count) in counts { add(key, count) }
    }

    func count(_ result: String, _ sends: [QueuedSend]) {
        var counts: [Key: Int] = [:]
        for send in sends { counts[Key(consumer: send.consumer, result: result), default: 0] += 1 }
        for (key, count) in counts { add(key, count) }
    }

    private func add(_ key: Key, _ count: Int) {
        let counter = counters.withLock { counters in
            if let counter = counters[key] { return counter }
            let key = counters.count < Self.limit ? key : Key(consumer: "other", result: key.result)
            let counter =
                counters[key]
                ?? Counter(
                    label: "millrace_dead_letters_results_total",
                    dimensions: [("consumer", key.consumer), ("result", key.result)])
            counters[key] = counter
            return counter
        }
        counter.increment(by: count)
    }
}
