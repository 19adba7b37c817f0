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
    /// - Parameter passed: the next offsets to apply of the original partitions of retries.
    func subjects(
        _ items: ItemSelection, failures: [Int: ItemFailure], order: DeadLetterRoute.Order,
        passed: [TopicPartition: Int64]
    ) -> [ParkingPlan.Subject] {
        items.map { item in
            var subject = ParkingPlan.Subject()
            subject.sequence = order == .key ? sequence(item) : nil
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

    func keyBytes(_ item: Int) -> [UInt8]? {
        if let key = keptKeys[item] { return key }
        guard let record = record(item), let key = record.key else { return nil }
        return [UInt8](copying: key)
    }
}
