internal import StreamCore

// Letters that Kafka does not accept: the letter topic does not exist or is forbidden, or its brokers are unavailable.
// Events that need no letter are still applied. A partition is held before its first event that needs a letter. The
// failed letter is sent again from time to time, in parallel to the database's work. When Kafka accepts it, all held
// partitions continue.

extension RunnerState {
    /// Whether Kafka accepts letters, as far as is known.
    struct LetterOutage: Sendable {
        var isOver = true
        var backoff: Backoff
        /// Partitions that wait for the end of the outage.
        var waiting: Set<TopicPartition> = []
        /// Partitions that were held and have not committed anything since.
        var held: Set<TopicPartition> = []
    }

    /// Handles a slice whose letters cannot be written. Its partitions end before their first events that need a
    /// letter.
    mutating func lettersMissing(_ cuts: [Int: Int], _ error: LetterError?) -> [Action] {
        guard !queue.isEmpty else { return [] }
        let parts = queue[0].plan.layout.parts
        for (part, item) in cuts { queue[0].plan.cut(part: part, at: item) }
        return lettersFailed(error, for: cuts.keys.sorted().map { parts[$0].partition })
    }

    /// - Parameters:
    ///   - error: the error; nil if the outage was known before and nothing was sent.
    ///   - affected: the partitions that need letters.
    mutating func lettersFailed(_ error: LetterError?, for affected: [TopicPartition]) -> [Action] {
        for partition in affected {
            for index in queue.indices.dropFirst() { queue[index].plan.drop(partition) }
            guard partitions[partition]?.phase == .active else { continue }
            partitions[partition]?.phase = .held
            commands.append(.pause([partition]))
            letterOutage.waiting.insert(partition)
            if letterOutage.held.insert(partition).inserted { note(.cannotPark(partition)) }
        }
        guard let error else { return [] }
        return closeLetters(error)
    }

    private mutating func closeLetters(_ error: LetterError) -> [Action] {
        letterOutage.isOver = false
        note(.lettersFailing(error))
        return [.sleep(.letters, letterOutage.backoff.next())]
    }

    /// Handles the result of sending the failed letter again.
    mutating func letterTried(_ error: LetterError?) -> [Action] {
        if let error { return closeLetters(error) }
        letterOutage.isOver = true
        let waiting = letterOutage.waiting
        letterOutage.waiting = []
        for partition in waiting where partitions[partition]?.phase == .held {
            partitions[partition]?.phase = .unknown
        }
        return []
    }

    /// Handles commits of partitions that were held. They can park again, or did not need to.
    mutating func lettersPassed(_ moved: [TopicPartition]) {
        guard letterOutage.isOver else { return }
        for partition in moved where letterOutage.held.remove(partition) != nil {
            letterOutage.backoff.reset()
            note(.canPark(partition))
        }
    }

    mutating func forgetLetters(of partition: TopicPartition) {
        letterOutage.waiting.remove(partition)
        letterOutage.held.remove(partition)
    }
}
