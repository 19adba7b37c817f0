public import Kafka
internal import StreamCore

/// Shows records of topics: topics → bounds → records → filter → printer → output. It joins no consumer group and
/// commits nothing.
public struct TailReader: Sendable {
    private let kafka: KafkaClientConfiguration
    private let request: TailRequest
    private let output: DataOutput?
    private let admin: KafkaAdmin
    private let isStopping: @Sendable () -> Bool
    /// Receives errors that may be temporary, to show them to the user.
    private let onTrouble: @Sendable (KafkaError) -> Void

    /// The time between two searches for new partitions and topics while following.
    private static let searchInterval = Duration.seconds(2)
    private static let limits = BatchLimits(maxRecords: 5_000, maxBytes: 8 << 20, maxWaitMs: 100)

    /// - Parameters:
    ///   - kafka: the Kafka cluster.
    ///   - request: what to show.
    ///   - output: the output; nil if records are only collected.
    ///   - isStopping: whether to stop. It is called between batches, and while the output accepts nothing.
    ///   - onTrouble: called with errors that may be temporary.
    /// - Throws: `KafkaError` if the configuration is invalid.
    public init(
        _ kafka: KafkaClientConfiguration, _ request: TailRequest, to output: DataOutput?,
        isStopping: @escaping @Sendable () -> Bool, onTrouble: @escaping @Sendable (KafkaError) -> Void
    ) throws(KafkaError) {
        self.kafka = kafka
        self.request = request
        self.output = output
        self.isStopping = isStopping
        self.onTrouble = onTrouble
        admin = try KafkaAdmin(kafka, timeoutMs: 10_000)
    }

    /// Runs until all records are shown, the reader closes the output, or the command is stopping.
    ///
    /// - Parameter settings: the settings of the printer. This method sets whether topic names are shown.
    /// - Throws: `KafkaError`, ``TailError``, ``DataOutputError``.
    public func run(_ settings: PrinterSettings) async throws {
        guard let output else { preconditionFailure("a run needs an output") }
        let partitions = try await findPartitions()
        var settings = settings
        settings.namesTopics = request.topics.count > 1 || request.topics.contains(where: \.isPattern)
        var sink = TailSink(
            RecordPrinter(settings), filter: filter, limit: request.limit, output: output)
        let bounds = try await bounds(of: partitions)
        var ranges = try await ranges(bounds)
        if let last = request.last {
            try sink.show(try await lastRecords(last, ranges, bounds))
            guard request.follows else { return try sink.end() }
            ranges = bounds.mapValues { TailProgress.Range(start: $0.high, end: nil) }
        }
        let progress = TailProgress(ranges, follows: request.follows, stopAtMs: request.stopAtMs)
        try await read(ranges, progress) { batch, progress in
            try sink.show(batch, &progress)
        }
        try sink.end()
    }

    /// Returns the last matching records, ordered by time.
    ///
    /// - Parameter count: the maximum number of records.
    /// - Throws: `KafkaError`, ``TailError``.
    public func collect(last count: Int) async throws -> [CopiedRecord] {
        let bounds = try await bounds(of: try await findPartitions())
        return try await lastRecords(count, try await ranges(bounds), bounds)
    }

    private var filter: RecordFilter {
        var filter = request.filter
        if let time = request.notBeforeMs { filter.conditions.insert(.notBefore(time), at: 0) }
        return filter
    }

    // MARK: topics → bounds

    private func findPartitions() async throws -> [TopicPartition] {
        // All topics are listed, because a cluster may create topics that a request names.
        let topics = try await admin.partitions()
        let missing = request.topics.filter { !topics.keys.contains(where: $0.matches) }
        if let first = missing.first, request.needsEachTopic || missing.count == request.topics.count {
            let names = request.needsEachTopic ? first.text : missing.map(\.text).joined(separator: " or ")
            throw TailError.noTopic(names, known: topics.keys.filter { !$0.hasPrefix("__") }.sorted())
        }
        let chosen = request.chosen(from: topics) { $0.partition }
        guard !chosen.isEmpty else { throw TailError.noPartitions((request.partitions ?? []).sorted()) }
        return chosen.sorted()
    }

    private func bounds(of partitions: [TopicPartition]) async throws -> [TopicPartition: PartitionBounds] {
        func places(_ place: PartitionPlace) -> [TopicPartition: PartitionPlace] {
            Dictionary(uniqueKeysWithValues: partitions.map { ($0, place) })
        }
        let lows = try await admin.offsets(of: places(.beginning))
        let highs = try await admin.offsets(of: places(.end))
        var bounds: [TopicPartition: PartitionBounds] = [:]
        for (partition, high) in highs {
            bounds[partition] = PartitionBounds(low: min(lows[partition] ?? 0, high), high: high)
        }
        return bounds
    }

    private func ranges(
        _ bounds: [TopicPartition: PartitionBounds]
    ) async throws -> [TopicPartition: TailProgress.Range] {
        let found = try await startsByTime(bounds)
        var ranges: [TopicPartition: TailProgress.Range] = [:]
        for (partition, bounds) in bounds {
            let start = bounds.offset(of: request.from, found: found[partition])
            var first = start
            if case .offset(let offset) = request.from { first = max(offset, start) }
            ranges[partition] = TailProgress.Range(start: start, first: first, end: end(bounds))
        }
        return ranges
    }

    /// The offset after the last record to show; nil for no end. An end that is a time depends on records, not on
    /// offsets.
    private func end(_ bounds: PartitionBounds) -> Int64? {
        switch request.to {
        case nil, .time?: request.follows ? nil : bounds.high
        case .offset(let offset)?: request.follows ? offset : min(offset, bounds.high)
        case let point?: bounds.offset(of: point, found: nil)
        }
    }

    /// The offsets at which partitions begin for a start time. A broker that cannot search by time returns the same
    /// answer as for a partition without such a record. The last record distinguishes the two cases: if it is not
    /// before the time, the whole partition is read.
    private func startsByTime(_ bounds: [TopicPartition: PartitionBounds]) async throws -> [TopicPartition: Int64] {
        guard case .time(let time) = request.from else { return [:] }
        var found = try await admin.offsets(of: bounds.mapValues { _ in .time(time) })
        let doubtful = bounds.filter { found[$0.key] == nil && $0.value.low < $0.value.high }
        let ranges = doubtful.mapValues { TailProgress.Range(start: $0.high - 1, end: $0.high) }
        let progress = TailProgress(ranges, follows: false, stopAtMs: nil)
        var young: Set<TopicPartition> = []
        try await read(ranges, progress) { batch, progress in
            for record in batch where progress.take(record) && record.timestampMs ?? .min >= time {
                young.insert(record.topicPartition)
            }
            return true
        }
        for partition in young { found[partition] = bounds[partition]?.low }
        return found
    }

    // MARK: the last records

    /// Reads from a position near the ends, and from earlier positions while there are too few records. The number of
    /// records cannot be computed from offsets.
    private func lastRecords(
        _ count: Int, _ ranges: [TopicPartition: TailProgress.Range], _ bounds: [TopicPartition: PartitionBounds]
    ) async throws -> [CopiedRecord] {
        // The number of records between two matching records is unknown.
        var span = filter.conditions.isEmpty ? Int64(count) : .max
        var records = LastRecords(count: count)
        while true {
            var near: [TopicPartition: TailProgress.Range] = [:]
            for (partition, range) in ranges {
                let end = range.end ?? bounds[partition]?.high ?? range.start
                let start = span == .max ? range.start : max(range.start, end - span)
                near[partition] = TailProgress.Range(start: start, first: max(start, range.first), end: end)
            }
            let filter = filter
            records = LastRecords(count: count)
            let progress = TailProgress(near, follows: false, stopAtMs: request.stopAtMs)
            try await read(near, progress) { batch, progress in
                for record in batch where progress.take(record) && filter.matches(record) { records.note(record) }
                return true
            }
            let isAll = near.allSatisfy { partition, range in range.start <= ranges[partition]?.start ?? range.start }
            if isAll || records.noted >= count || isStopping() { break }
            span = span.multipliedReportingOverflow(by: 4).overflow ? .max : span * 4
        }
        return records.take()
    }

    // MARK: records

    /// Reads all batches of the ranges.
    ///
    /// - Parameters:
    ///   - ranges: the ranges to read.
    ///   - start: the progress at the start.
    ///   - body: notes each record in the progress, and returns whether to continue.
    private func read(
        _ ranges: [TopicPartition: TailProgress.Range], _ start: TailProgress,
        _ body: (RecordBatch, inout TailProgress) throws -> Bool
    ) async throws {
        var progress = start
        if progress.isDone, !request.follows { return }
        let group = "millrace-tail-\(UInt32.random(in: 0 ... .max))"
        let consumer = try Consumer(kafka, group: group, tellsEnds: true)
        let result: Result<Void, any Error>
        do {
            let open = Set(progress.partitions)
            try await consumer.assign(ranges.filter { open.contains($0.key) }.mapValues { .offset($0.start) })
            result = .success(try await drain(consumer, Set(ranges.keys), &progress, body))
        } catch {
            result = .failure(error)
        }
        _ = await consumer.close(timeoutMs: 5_000)
        try result.get()
    }

    private func drain(
        _ consumer: Consumer, _ known: Set<TopicPartition>, _ progress: inout TailProgress,
        _ body: (RecordBatch, inout TailProgress) throws -> Bool
    ) async throws {
        var known = known
        var lastSearch = ContinuousClock.now
        while !progress.isDone, !isStopping() {
            if request.follows, ContinuousClock.now - lastSearch >= Self.searchInterval {
                try await addPartitions(consumer, &known, &progress)
                lastSearch = .now
            }
            switch try await consumer.poll(Self.limits) {
            case .batch(let batch):
                guard try body(batch, &progress) else { return }
                for (partition, end) in batch.ends { progress.noteEnd(of: partition, at: end) }
            case .ends(let ends):
                for (partition, end) in ends { progress.noteEnd(of: partition, at: end) }
            case .error(let error):
                if error.isOffsetOutOfRange, let partition = error.topicPartition {
                    // Retention has removed the next records.
                    try await consumer.seek([partition: .beginning])
                } else if !error.isRetriable {
                    throw error
                }
                onTrouble(error)
            case .idle:
                if output?.hasNoReader ?? false { return }
            case .assigned, .revoked, .lost:
                break
            }
            let closed = progress.takeClosed()
            if !closed.isEmpty { try await consumer.pause(closed) }
        }
    }

    /// Adds partitions that were created in the meantime. They are read from their beginnings.
    private func addPartitions(
        _ consumer: Consumer, _ known: inout Set<TopicPartition>, _ progress: inout TailProgress
    ) async throws {
        guard let topics = try? await admin.partitions() else { return }
        let added = request.chosen(from: topics) { $0.partition }.filter { !known.contains($0) }
        if added.isEmpty { return }
        known.formUnion(added)
        for partition in added { progress.add(partition, TailProgress.Range(start: 0, end: nil)) }
        try await consumer.assign(Dictionary(uniqueKeysWithValues: added.map { ($0, .beginning) }))
    }
}

/// Writes records that were read: filter → printer → output.
private struct TailSink: ~Copyable {
    private var printer: RecordPrinter
    private let filter: RecordFilter
    private var remaining: Int
    private let output: DataOutput
    private var buffer: [UInt8] = []
    private var wanted: [Int] = []
    private var isOpen = true

    /// The size of the buffer, in bytes, from which it is written to the output.
    private static let bufferLimit = 1 << 16

    init(_ printer: consuming RecordPrinter, filter: RecordFilter, limit: Int?, output: DataOutput) {
        self.printer = printer
        self.filter = filter
        self.output = output
        remaining = limit ?? .max
        buffer.reserveCapacity(2 * Self.bufferLimit)
    }

    /// - Returns: whether more records are wanted.
    mutating func show(_ batch: RecordBatch, _ progress: inout TailProgress) throws -> Bool {
        wanted.removeAll(keepingCapacity: true)
        for index in 0..<batch.count where wanted.count < remaining {
            let record = batch[index]
            if progress.take(record), filter.matches(record) { wanted.append(index) }
        }
        for index in wanted { printer.measure(batch[index]) }
        for index in wanted { try write(batch[index]) }
        try flush()
        return isOpen && remaining > 0
    }

    mutating func show(_ records: [CopiedRecord]) throws {
        let shown = records.prefix(remaining)
        for record in shown { printer.measure(record) }
        for record in shown { try write(record) }
        try flush()
    }

    mutating func end() throws {
        printer.end(to: &buffer)
        try flush()
    }

    private mutating func write(_ record: borrowing some TailRecord) throws {
        guard isOpen else { return }
        printer.write(record, to: &buffer)
        remaining -= 1
        if buffer.count >= Self.bufferLimit { try flush() }
    }

    private mutating func flush() throws {
        if isOpen, !buffer.isEmpty { isOpen = try output.write(buffer.span) }
        buffer.removeAll(keepingCapacity: true)
    }
}
