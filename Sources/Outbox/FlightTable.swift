internal import StreamCore

/// The rows that are between having been read and having been removed: in flight to Kafka, acknowledged, being removed.
///
/// Bounded by rows and bytes. Slots are numbered, and a row's slot is the tag of its record, so that a delivery report
/// finds its row without a search.
///
/// A pure value.
struct FlightTable {
    private struct Slot {
        var id: Int64 = 0
        /// −1 when the slot is free.
        var bytes: Int32 = -1
        var generation: UInt32 = 0
        var occurredAt = Timestamp(microseconds: 0)
    }

    /// A row whose record has been reported.
    struct Landed: Equatable {
        let id: Int64
        let occurredAt: Timestamp
    }

    private struct Removed {
        let ids: [Int64]
        /// The last page that was asked for before the removal was committed: its snapshot may still show the rows.
        let request: UInt64
    }

    /// Rows in flight, at most.
    let maximumRows: Int
    /// Their bytes, at most; one row may be larger.
    let maximumBytes: Int

    private(set) var rows = 0
    private(set) var bytes = 0
    /// Ids that wait for the remover.
    private(set) var acknowledged: [Int64] = []

    private var slots: [Slot] = []
    private var free: [Int32] = []
    private var removing: [Int64] = []
    /// Published rows that could not be removed. They wait for another try, and must not be sent again.
    private(set) var unremoved: [Int64] = []
    private var removed: [Removed] = []
    private var generation: UInt32 = 0
    private var lastRequest: UInt64 = 0

    init(maximumRows: Int, maximumBytes: Int) {
        self.maximumRows = maximumRows
        self.maximumBytes = maximumBytes
    }

    /// From so many on, what to remove is chosen.
    private static let manyAcknowledged = 256

    /// Whether one more row may be sent. Acknowledged rows count too: where removing is slower than sending, sending
    /// waits, and what a crash would repeat stays bounded.
    var hasRoom: Bool {
        rows < maximumRows && bytes < maximumBytes
            && acknowledged.count + removing.count + unremoved.count < 2 * maximumRows
    }

    /// Nothing is in flight, and nothing waits for its removal.
    var isEmpty: Bool { rows == 0 && acknowledged.isEmpty && removing.isEmpty && unremoved.isEmpty }

    /// When the oldest event in flight happened; nil when none is.
    var oldest: Timestamp? {
        slots.lazy.filter { $0.bytes >= 0 }.map(\.occurredAt).min()
    }

    // MARK: the way of a row

    /// The row is about to be sent.
    ///
    /// - Returns: the tag of its record; below 2⁶³.
    mutating func admit(id: Int64, bytes size: Int, occurredAt: Timestamp = Timestamp(microseconds: 0)) -> UInt64 {
        let index: Int
        if let last = free.popLast() {
            index = Int(last)
        } else {
            index = slots.count
            slots.append(Slot())
        }
        let counted = Int32(clamping: size)
        slots[index] = Slot(id: id, bytes: counted, generation: generation, occurredAt: occurredAt)
        rows += 1
        bytes += Int(counted)
        return UInt64(generation) << 32 | UInt64(index)
    }

    /// The record was delivered: its row is to be removed.
    ///
    /// - Returns: the row; nil when the tag is of a producer that was given up.
    @discardableResult
    mutating func acknowledge(_ tag: UInt64) -> Landed? {
        guard let row = land(tag) else { return nil }
        acknowledged.append(row.id)
        return row
    }

    /// The record was not delivered, or not even taken: its row stays in the outbox.
    ///
    /// - Returns: the row; nil when the tag is of a producer that was given up.
    @discardableResult
    mutating func fail(_ tag: UInt64) -> Landed? { land(tag) }

    private mutating func land(_ tag: UInt64) -> Landed? {
        let index = Int(tag & 0xFFFF_FFFF)
        guard index < slots.count, slots[index].bytes >= 0, UInt64(slots[index].generation) == tag >> 32 else {
            return nil
        }
        rows -= 1
        bytes -= Int(slots[index].bytes)
        slots[index].bytes = -1
        free.append(Int32(index))
        return Landed(id: slots[index].id, occurredAt: slots[index].occurredAt)
    }

    /// The producer is given up: what it had is not in flight any more, and reports that still come mean nothing.
    ///
    /// - Returns: the lowest row that it had.
    @discardableResult
    mutating func abandon() -> Int64? {
        var lowest: Int64?
        for index in slots.indices where slots[index].bytes >= 0 {
            lowest = min(lowest ?? .max, slots[index].id)
            _ = land(UInt64(slots[index].generation) << 32 | UInt64(index))
        }
        // Tags stay below 2⁶³.
        generation = (generation + 1) & 0x7FFF_FFFF
        return lowest
    }

    // MARK: removal

    /// The acknowledged rows to remove now, ascending.
    ///
    /// While many come, those below the lowest row in flight are removed first: they have no holes, which is what makes
    /// removing cheap. When that row is stuck, the others are not kept waiting.
    mutating func takeAcknowledged(limit: Int) -> [Int64] {
        precondition(removing.isEmpty, "one removal at a time")
        var count = min(limit, acknowledged.count)
        if acknowledged.count >= Self.manyAcknowledged {
            acknowledged.sort()
            let lowest = slots.reduce(Int64.max) { $1.bytes >= 0 ? min($0, $1.id) : $0 }
            let whole = acknowledged.firstIndex { $0 > lowest } ?? acknowledged.count
            if whole >= acknowledged.count / 4 { count = min(limit, whole) }
        }
        if count == acknowledged.count {
            swap(&removing, &acknowledged)
        } else {
            removing = Array(acknowledged.prefix(count))
            acknowledged.removeFirst(count)
        }
        removing.sort()
        return removing
    }

    /// The removal is committed.
    ///
    /// - Parameter left: rows of it that are still there, ascending.
    /// - Returns: whether any row is gone.
    @discardableResult
    mutating func finishRemoval(leaving left: [Int64] = []) -> Bool {
        defer { removing = [] }
        if left.isEmpty {
            removed.append(Removed(ids: removing, request: lastRequest))
        } else {
            let kept = Set(left)
            removed.append(Removed(ids: removing.filter { !kept.contains($0) }, request: lastRequest))
            unremoved += left
        }
        return left.count < removing.count
    }

    /// The rows that could not be removed are to be tried again.
    mutating func retryUnremoved() {
        acknowledged += unremoved
        unremoved = []
    }

    // MARK: reading

    /// A page with this number is asked for now.
    mutating func willRead(_ request: UInt64) {
        lastRequest = request
    }

    /// Which of `ids`, rows of the page with this number, are on their way already or were removed after that page's
    /// snapshot was taken: they are not to be sent again.
    mutating func known(among ids: [Int64], ofPage request: UInt64) -> Set<Int64> {
        removed.removeAll { $0.request < request }
        if ids.isEmpty { return [] }
        let candidates = Set(ids)
        var known: Set<Int64> = []
        func look(_ id: Int64) { if candidates.contains(id) { known.insert(id) } }
        for slot in slots where slot.bytes >= 0 { look(slot.id) }
        for id in acknowledged { look(id) }
        for id in removing { look(id) }
        for id in unremoved { look(id) }
        for batch in removed { for id in batch.ids { look(id) } }
        return known
    }
}
