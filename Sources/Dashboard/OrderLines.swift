internal import Events
public import Orders

/// The lines of an order as a last-writer-wins map. For each product it contains the line from the event with the
/// greatest stamp, or the removal of the product. Removals are kept, so that an older event that arrives later does not
/// restore a line.
///
/// Merging is commutative, associative and idempotent.
public struct OrderLines: Hashable, Sendable {
    public typealias Entry = LineEntry

    /// One entry for each product, ordered by the bytes of the product ids.
    public private(set) var entries: [Entry] = []

    /// The lines that one event sets. If there are two lines of a product, the later one wins.
    init(_ lines: [OrderLine], by stamp: EventStamp) {
        for line in lines {
            let entry = Entry(productID: line.productID, stamp: stamp, line: line)
            let (place, isKnown) = place(of: entry.productID)
            if isKnown { entries[place] = entry } else { entries.insert(entry, at: place) }
        }
    }

    /// The removal of a product.
    init(removing productID: String, by stamp: EventStamp) {
        entries = [Entry(productID: productID, stamp: stamp, line: nil)]
    }

    /// - Parameter stored: entries in any order.
    init(stored: [Entry]) {
        for entry in stored { merge(entry) }
    }

    /// Merges the entries of `other`. For each product, the later entry wins.
    mutating func merge(_ other: OrderLines) {
        for entry in other.entries { merge(entry) }
    }

    private mutating func merge(_ entry: Entry) {
        let (place, isKnown) = place(of: entry.productID)
        if !isKnown {
            entries.insert(entry, at: place)
        } else if entries[place].isBefore(entry) {
            entries[place] = entry
        }
    }

    private func place(of productID: String) -> (place: Int, isKnown: Bool) {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            let order = ExactText.compare(entries[middle].productID, productID)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }
}
