internal import StreamCore

/// The rows that were read and are not removed yet: in flight to Kafka, acknowledged, or being removed.
///
/// Rows and bytes are limited. Slots are numbered. The slot of a row is the tag of its record, so a delivery report
/// finds its row without a search.
///
/// This is a pure value.
struct FlightTable {
    private struct Slot {
        var id: Int64 = 0
        /// −1 if the slot is free.
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
        /// The last page that was requested before the removal committed. Its snapshot may still contain the rows.
        let request: UInt64
    }

    /// Maximum number of rows in flight.
    private(set) var maximumRows: Int
    /// Maximum size of the rows in flight. One row may be larger.
    private(set) var maximumBytes: Int

    private(set) var rows = 0
    private(set) var bytes = 0
    /// Ids that wait for the remover.
    private(set) var acknowledged: [Int64] = []

    private var slots: [Slot] = []
    private var free: [Int32] = []
    private var removing: [Int64] = []
    /// Published rows that could not be removed. They wait for another attempt and must not be sent again.
    private(set) var unremoved: [Int64] = []
    private var removed: [Removed] = []
    private var generation: UInt32 = 0
    private var lastRequest: UInt64 = 0

    init(maximumRows: Int, maximumBytes: Int) {
        self.maximumRows = maximumRows
        self.maximumBytes = maximumBytes
    }

    /// Sets other limits. Rows that are in flight beyond them stay so.
    mutating func limit(rows: Int, bytes: Int) {
        maximumRows = rows
        maximumBytes = bytes
    }

    /// From this number of rows on, the remover selects which rows to remove.
    private static let manyAcknowledged = 256

    /// Whether one more row may be sent. Acknowledged rows count too: if removing is slower than sending, sending
    /// waits. This limits the number of rows that a crash may repeat.
    var hasRoom: Bool {
        rows < maximumRows && bytes < maximumBytes
            && acknowledged.count + removing.count + unremoved.count < 2 * maximumRows
    }

    /// Whether no row is in flight and none waits for its removal.
    var isEmpty: Bool { rows == 0 && acknowledged.isEmpty && removing.isEmpty && unremoved.isEmpty }

    /// The time of the oldest event in flight; nil if there is none.
    var oldest: Timestamp? {
        slots.lazy.filter { $0.bytes >= 0 }.map(\.occurredAt).min()
    }

    // MARK: the way of a row

    /// Adds a row that is about to be sent.
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

    /// Notes that the record was delivered, so its row can be removed.
    ///
    /// - Returns: the row; nil if the tag belongs to an earlier producer.
    @discardableResult
    mutating func acknowledge(_ tag: UInt64) -> Landed? {
        guard let row = land(tag) else { return nil }
        acknowledged.append(row.id)
        return row
    }

    /// Notes that the record was not delivered or not accepted, so its row stays in the outbox.
    ///
    /// - Returns: the row; nil if the tag belongs to an earlier producer.
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

    /// Drops a producer. Its records are no longer in flight, and its later reports are ignored.
    ///
    /// - Returns: the lowest row of its records.
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
    /// While many acknowledgements come, the rows below the lowest row in flight are removed first. They have no gaps,
    /// which makes removing cheap. If that row is stuck, the others are removed as well.
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

    /// Notes that the removal is committed.
    ///
    /// - Parameter left: the rows of the removal that still exist, ascending.
    /// - Returns: whether any row was removed.
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

    /// Makes the rows that could not be removed ready for another attempt.
    mutating func retryUnremoved() {
        acknowledged += unremoved
        unremoved = []
    }

    // MARK: reading

    /// Notes that the page with this number is about to be requested.
    mutating func willRead(_ request: UInt64) {
        lastRequest = request
    }

    /// Returns which of `ids` must not be sent again. These rows of the page with this number are in flight, or were
    /// removed after the page's snapshot was taken.
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
