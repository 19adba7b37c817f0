public import Events
public import Orders

/// The lines of an order as a last-writer-wins map: for each product, the line that the event of the greatest
/// stamp left there, or that it removed it. Removals are kept, lest an older event that comes later bring a line
/// back.
///
/// Merging is commutative, associative and idempotent.
public struct OrderItems: Hashable, Sendable {
    public typealias Entry = LineEntry

    /// One a product, in the order of the product ids' bytes.
    public private(set) var entries: [Entry]

    /// The lines that one event sets. Of two lines of the same product the later one counts.
    public init(_ lines: [OrderLine], by stamp: EventStamp) {
        self.init(lines.map { Entry(productID: $0.productID, stamp: stamp, line: $0) })
    }

    /// The removal of one product.
    public init(removing productID: String, by stamp: EventStamp) {
        entries = [Entry(productID: productID, stamp: stamp, line: nil)]
    }

    /// - Parameter unordered: in any order; of two of the same product the later one counts.
    init(_ unordered: [Entry]) {
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

    /// Takes over what `other` knows better.
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

    /// The lines that there are, in the order of the events that set them, then of the product ids.
    public var lines: [Entry] {
        entries.filter { $0.line != nil }.enumerated()
            .sorted { ($0.element.sequence, $0.offset) < ($1.element.sequence, $1.offset) }
            .map(\.element)
    }

    /// The products that were removed.
    public var removals: [Entry] { entries.filter { $0.line == nil } }

    /// Pieces of all lines.
    public var count: Int64 {
        entries.reduce(0) { $0 + Int64($1.line?.quantity ?? 0) }
    }

    /// The sum of all lines, in the order's currency.
    public func total() throws(DecimalOverflow) -> DecimalAmount {
        var total = DecimalAmount.zero
        for entry in entries {
            guard let line = entry.line else { continue }
            total = try total.adding(line.unitPrice.multiplied(by: Int64(line.quantity)))
        }
        return total
    }
}
