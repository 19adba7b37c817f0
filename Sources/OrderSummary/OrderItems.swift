public import Events
public import Orders

/// The lines of an order as a last-writer-wins map. For each product it contains the line from the event with the
/// greatest stamp, or the removal of the product. Removals are kept, so that an older event that arrives later does not
/// restore a line.
///
/// Merging is commutative, associative and idempotent.
public struct OrderItems: Hashable, Sendable {
    public typealias Entry = LineEntry

    /// One entry for each product, ordered by the bytes of the product ids.
    public private(set) var entries: [Entry]

    /// The lines that one event sets. If there are two lines of a product, the later one wins.
    public init(_ lines: [OrderLine], by stamp: EventStamp) {
        self.init(lines.map { Entry(productID: $0.productID, stamp: stamp, line: $0) })
    }

    /// The removal of a product.
    public init(removing productID: String, by stamp: EventStamp) {
        entries = [Entry(productID: productID, stamp: stamp, line: nil)]
    }

    /// - Parameter unordered: entries in any order. If there are two entries of a product, the later one wins.
    package init(_ unordered: [Entry]) {
        entries = []
        entries.reserveCapacity(unordered.count)
        let sorted = unordered.enumerated().sorted { left, right in
            let order = ExactText.compare(left.element.productID, right.element.productID)
            return order == 0 ? left.offset < right.offset : order < 0
        }
        for (_, entry) in sorted {
            if let last = entries.last, ExactText.compare(last.productID, entry.productID) == 0 { entries.removeLast() }
            entries.append(entry)
        }
    }

    /// Merges the entries of `other`. For each product, the later entry wins.
    public mutating func merge(_ other: OrderItems) {
        var merged: [Entry] = []
        merged.reserveCapacity(entries.count + other.entries.count)
        var (left, right) = (0, 0)
        while left < entries.count, right < other.entries.count {
            let order = ExactText.compare(entries[left].productID, other.entries[right].productID)
            if order < 0 {
                merged.append(entries[left])
                left += 1
            } else if order > 0 {
                merged.append(other.entries[right])
                right += 1
            } else {
                let isNewer = entries[left].isBefore(other.entries[right])
                merged.append(isNewer ? other.entries[right] : entries[left])
                left += 1
                right += 1
            }
        }
        merged += entries[left...]
        merged += other.entries[right...]
        entries = merged
    }

    /// The existing lines, ordered by the events that set them and then by product id.
    public var lines: [Entry] {
        entries.filter { $0.line != nil }.enumerated()
            .sorted { ($0.element.sequence, $0.offset) < ($1.element.sequence, $1.offset) }
            .map(\.element)
    }

    /// The removed products.
    public var removals: [Entry] { entries.filter { $0.line == nil } }

    /// The number of pieces in all lines.
    public var count: Int64 {
        entries.reduce(0) { $0 + Int64($1.line?.quantity ?? 0) }
    }

    /// The sum of all lines, in the order's currency.
    ///
    /// - Throws: `DecimalOverflow`.
    public func total() throws(DecimalOverflow) -> DecimalAmount {
        var total = DecimalAmount.zero
        for entry in entries {
            guard let line = entry.line else { continue }
            total = try total.adding(line.unitPrice.multiplied(by: Int64(line.quantity)))
        }
        return total
    }
}
