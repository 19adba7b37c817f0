internal import Kafka
internal import Letters
internal import Postgres
internal import StreamCore

/// Items of a batch by their indexes: usually a range, which needs no copy, or a list if some are left out.
enum ItemSelection: Sendable, Equatable {
    case range(Range<Int>)
    case list([Int])
}

extension ItemSelection: RandomAccessCollection {
    var startIndex: Int { 0 }
    var endIndex: Int {
        switch self {
        case .range(let range): range.count
        case .list(let list): list.count
        }
    }

    subscript(position: Int) -> Int {
        switch self {
        case .range(let range): range.lowerBound + position
        case .list(let list): list[position]
        }
    }
}

extension PreparedBatch {
    func items(of slice: BatchSlice) -> ItemSelection {
        guard !slice.cutOffs.isEmpty else { return .range(slice.items) }
        return .list(slice.items.filter { $0 < slice.cutOffs[Int(layout.partOfItem[$0])] ?? .max })
    }

    /// The events of those items that have one.
    func events(_ items: ItemSelection) -> [Event] {
        if case .range(let range) = items, isPlain, range == events.indices { return events }
        return items.compactMap { eventIndex($0).map { events[$0] } }
    }

    /// The parameters for recording the events as processed.
    func processed(_ items: ItemSelection, _ offsets: OffsetTable) -> Parameters {
        var ids = UUIDArray(reservingBytes: items.count * 20)
        var days = DateArray(reservingBytes: items.count * 8)
        for item in items {
            guard let identity = identity(item) else { continue }
            ids.append(identity.eventID)
            days.append(day: identity.timestamp.day)
        }
        return Parameters {
            $0.append(offsets.projectionID)
            $0.append(ids)
            $0.append(days)
        }
    }

    /// The items whose event ids were inserted. An event that was applied before is left out. If the batch contains an
    /// event twice, the first one counts.
    func unseen(_ items: ItemSelection, inserted: QueryResult) throws(PostgresError) -> ItemSelection {
        if inserted.rowCount == items.count { return items }
        var new: Set<EventID> = []
        new.reserveCapacity(inserted.rowCount)
        for row in 0..<inserted.rowCount { new.insert(try inserted.eventID(row, 0)) }
        return .list(items.filter { item in identity(item).map { new.remove($0.eventID) != nil } ?? false })
    }

    // MARK: parking

    /// The data of the items that the plan needs.
    ///
    /// - Parameters:
    ///   - parked: the keys that are blocked already. An event has a sequence only if it is a retry, has failed, or may
    ///     wait for one of these keys or for a failed event.
    ///   - passed: the next offsets to apply of the original partitions of retries.
    func subjects(
        _ items: ItemSelection, failures: [Int: ItemFailure], order: DeadLetterRoute.Order,
        parked: some Sequence<SequenceKey>, passed: [TopicPartition: Int64]
    ) -> [ParkingPlan.Subject] {
        var blocking = Set(parked.lazy.map { KeyHash($0) })
        let hashes = KeyHashes(self)
        for item in failures.keys {
            if let hash = hashes[item]?.hash { blocking.insert(hash) }
        }
        return items.map { item in
            var subject = ParkingPlan.Subject()
            if order == .key, retries[item] != nil || (hashes[item].map { blocking.contains($0.hash) } ?? false) {
                subject.sequence = sequence(item)
            }
            subject.hasFailed = failures[item] != nil
            subject.eventID = identity(item)?.eventID
            if let request = retries[item] {
                let isPassed = (passed[request.origin.partition] ?? 0) > request.origin.offset
                let delivery = ParkingPlan.Delivery(
                    origin: request.origin, number: request.delivery, isPassed: isPassed,
                    isForgotten: request.isForgotten)
                switch request.action {
                case .apply: subject.role = .retry(delivery)
                case .discard: subject.role = .discard(delivery)
                }
            }
            return subject
        }
    }

    func sequence(_ item: Int) -> SequenceKey? {
        guard let key = keyBytes(item) else { return nil }
        return SequenceKey(topic: origin(item).partition.topic, key: key)
    }

    /// The hashes of the keys of a batch's items, without copies of the keys.
    struct KeyHashes {
        private let batch: PreparedBatch
        private let topics: [UInt64]

        init(_ batch: PreparedBatch) {
            self.batch = batch
            topics = batch.layout.parts.map { FNV1a.hash($0.partition.topic) }
        }

        /// The key's hash and length; nil if the item has no key.
        subscript(item: Int) -> (hash: KeyHash, length: Int)? {
            if !batch.retries.isEmpty || !batch.keptKeys.isEmpty {
                return batch.sequence(item).map { (KeyHash($0), $0.key.count) }
            }
            guard let record = batch.record(item), let key = record.key else { return nil }
            return (KeyHash(topic: topics[Int(batch.layout.partOfItem[item])], key: key), key.count)
        }
    }

    func keyBytes(_ item: Int) -> [UInt8]? {
        if let key = keptKeys[item] { return key }
        guard let record = record(item), let key = record.key else { return nil }
        return [UInt8](copying: key)
    }
}
