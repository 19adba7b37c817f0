internal import StreamCore

// Letters that Kafka does not take: the letter topic is unknown or forbidden, or its brokers are away. What needs no
// letter goes on. A partition that cannot park is held behind the last event that needs none. The letter that failed is
// sent again now and then, beside the database's work, and once Kafka takes it all held partitions go on.

extension RunnerState {
    /// Whether Kafka takes letters, as far as is known.
    struct LetterOutage: Sendable {
        var isOver = true
        var backoff: Backoff
        /// Partitions that wait for its end.
        var waiting: Set<TopicPartition> = []
        /// Partitions that were held, and have not gone on yet.
        var held: Set<TopicPartition> = []
    }

    /// A slice needs letters and cannot have them: its partitions end before their first events that need one.
    mutating func lettersMissing(_ cuts: [Int: Int], _ error: LetterError?) -> [Action] {
        guard !queue.isEmpty else { return [] }
        let parts = queue[0].plan.layout.parts
        for (part, item) in cuts { queue[0].plan.cut(part: part, at: item) }
        return lettersFailed(error, for: cuts.keys.sorted().map { parts[$0].partition })
    }

    /// - Parameter error: nil when it is known that Kafka takes none, and nothing was sent.
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

    /// The letter that failed was sent again.
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

    /// Partitions of which something was committed park again, or need not.
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
