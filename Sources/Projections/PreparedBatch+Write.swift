internal import Postgres
internal import StreamCore

/// Events of a batch by their indexes: a range without a copy in the usual case, a list when some are left out.
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
        guard let excluded = slice.excludedParts else { return .range(slice.items) }
        return .list(slice.items.filter { !excluded.contains(Int(layout.partOfItem[$0])) })
    }

    func events(_ items: ItemSelection) -> [Event] {
        if case .range(let range) = items, range == events.indices { return events }
        return items.map { events[$0] }
    }

    /// The parameters that record the events as processed.
    func processed(_ items: ItemSelection, _ offsets: OffsetTable) -> Parameters {
        var ids = UUIDArray(reservingBytes: items.count * 20)
        var days = DateArray(reservingBytes: items.count * 8)
        for item in items {
            ids.append(identities[item].eventID)
            days.append(day: identities[item].timestamp.day)
        }
        return Parameters {
            $0.append(offsets.projectionID)
            $0.append(ids)
            $0.append(days)
        }
    }

    /// The events whose ids were inserted: those that were neither applied before nor stand twice in the batch, in
    /// which case the first one counts.
    func unseen(_ items: ItemSelection, inserted: QueryResult) throws(PostgresError) -> ItemSelection {
        if inserted.rowCount == items.count { return items }
        var new: Set<EventID> = []
        new.reserveCapacity(inserted.rowCount)
        for row in 0..<inserted.rowCount { new.insert(try inserted.eventID(row, 0)) }
        return .list(items.filter { new.remove(identities[$0].eventID) != nil })
    }
}
