internal import Kafka
internal import StreamCore

// Partitions that cannot simply continue at the offset in PostgreSQL, because Kafka does not have the offset or has
// another record there. Kafka is asked about each of them, then PostgreSQL, and both answers decide
// (``PartitionStart``).

extension RunnerState {
    /// Takes no more records of a partition until Kafka and PostgreSQL have answered.
    mutating func doubt(_ partition: TopicPartition, _ doubt: PartitionDoubt) {
        switch partitions[partition]?.phase {
        case .starting, .active, .ending: break
        // The partition is being handled already or is not ours. The report belongs to an earlier start.
        case .unknown, .doubtful, .examining, .rewinding, .loading, .held, .stopped, .revoked, nil: return
        }
        drop(partition)
        partitions[partition]?.phase = .doubtful
        partitions[partition]?.doubt = doubt
        partitions[partition]?.end = nil
    }

    /// Handles the results of looking for marked records.
    mutating func compare(_ continuity: [TopicPartition: Continuity]) {
        for (partition, found) in continuity {
            switch found {
            case .same: partitions[partition]?.mark = nil
            case .otherRecord(let mark): doubt(partition, .otherRecord(mark))
            case .noRecord(let mark): doubt(partition, .noRecord(mark))
            }
        }
    }

    /// Asks Kafka about doubtful partitions: the first time at once, and later after a delay, because a partition may
    /// become doubtful repeatedly or have no leader.
    mutating func examineDoubtful() -> [Action] {
        var actions: [Action] = []
        for partition in partitions.filter({ $0.value.phase == .doubtful }).keys.sorted() {
            partitions[partition]?.phase = .examining
            var backoff =
                examineBackoffs[partition]
                ?? Backoff(initial: settings.backoffInitial, ceiling: settings.examineBackoffCeiling)
            if backoff.attempts == 0 {
                actions += examine(partition)
                _ = backoff.next()
            } else {
                actions.append(.sleep(.examine(partition), backoff.next()))
            }
            examineBackoffs[partition] = backoff
        }
        return actions
    }

    func examine(_ partition: TopicPartition) -> [Action] {
        guard !isStopping, let state = partitions[partition], state.phase == .examining, let doubt = state.doubt
        else { return [] }
        return [.examine(partition, doubt)]
    }

    mutating func examined(_ partition: TopicPartition, _ result: Result<PartitionFindings, KafkaError>) {
        guard partitions[partition]?.phase == .examining else { return }
        switch result {
        case .success(let findings):
            partitions[partition]?.findings = findings
            // The position is read from PostgreSQL again, because another process may have moved it.
            partitions[partition]?.phase = .unknown
        case .failure(let error):
            note(.examinationFailed(partition, error))
            partitions[partition]?.phase = .doubtful
        }
    }

    mutating func offsetsLoaded(
        _ offsets: [TopicPartition: Int64], _ marks: [TopicPartition: RecordMark],
        _ open: [TopicPartition: [FailureCounts.Kind]]
    ) {
        database = .idle
        recovered()
        var start = StartCommand()
        var wentBack: [TopicPartition: (from: Int64, to: Int64)] = [:]
        for (partition, next) in offsets {
            guard var state = partitions[partition], state.phase == .loading else { continue }
            breakerLoaded(partition, open: open[partition] ?? [])
            let stored = StoredPosition(next: next, mark: marks[partition])
            let decision = PartitionStart(stored, doubt: state.doubt, findings: state.findings)
            let findings = state.findings
            if next < state.committed { wentBack[partition] = (state.committed, next) }
            state.loaded(next)
            state.phase = .starting
            if case .verifying(let mark) = decision { state.mark = mark }
            partitions[partition] = state
            paused.remove(partition)
            switch decision {
            case .verifying(let mark): start.add(partition, at: mark.offset, isMoved: state.isWithConsumer)
            case .unverified:
                if let mark = stored.mark { note(.unverified(partition, next: next, mark: mark)) }
                start.add(partition, at: next, isMoved: state.isWithConsumer)
            case .truncated, .replaced:
                guard let findings else { preconditionFailure("decided without a look at Kafka") }
                notThere(partition, next, findings, isReplaced: decision == .replaced)
            }
        }
        if !wentBack.isEmpty { note(.wentBack(wentBack)) }
        if start != StartCommand() { commands.append(.start(start)) }
    }

    /// Decides what happens to a partition whose next records Kafka does not have. No other place decides this.
    private mutating func notThere(
        _ partition: TopicPartition, _ next: Int64, _ findings: PartitionFindings, isReplaced: Bool
    ) {
        let (low, high) = (findings.low, findings.high)
        let stopped = StoppedPartition(
            partition: partition, offset: next,
            reason: isReplaced ? .replacedTopic(low: low, high: high) : .truncatedHistory(low: low, high: high))
        if settings.continuesAfterTruncation(partition) {
            note(.rewound(stopped, to: low))
            partitions[partition]?.phase = .rewinding(to: low)
        } else {
            stop(stopped)
        }
    }

    /// The moves of the offsets of partitions that continue elsewhere. They are moved before any record is applied. The
    /// transactions of records then only move them forward, from an offset that Kafka has.
    mutating func rewind() -> [OffsetMove] {
        var moves: [OffsetMove] = []
        for (partition, state) in partitions.sorted(by: { $0.key < $1.key }) {
            guard case .rewinding(let low) = state.phase else { continue }
            moves.append(OffsetMove(partition: partition, expected: state.committed, next: low))
        }
        return moves
    }

    /// Reads rewound partitions again, whoever has moved their offsets.
    mutating func rewound() {
        database = .idle
        recovered()
        for (partition, state) in partitions {
            guard case .rewinding(let low) = state.phase else { continue }
            partitions[partition]?.phase = .unknown
            partitions[partition]?.committed = low
        }
    }
}
