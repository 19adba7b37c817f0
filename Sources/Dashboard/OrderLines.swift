internal import Events
public import Orders

/// The lines of an order as a last-writer-wins map: for each product, the line that the event of the greatest stamp
/// left there, or that it removed it. Removals are kept, lest an older event that comes later bring a line back.
///
/// Merging is commutative, associative and idempotent.
public struct OrderLines: Hashable, Sendable {
    public typealias Entry = LineEntry

    /// One a product, in the order of the product ids' bytes.
    public private(set) var entries: [Entry] = []

    /// The lines that one event sets. Of two lines of the same product the later one counts.
    init(_ lines: [OrderLine], by stamp: EventStamp) {
        for line in lines {
            let entry = Entry(productID: line.productID, stamp: stamp, line: line)
            let (place, isKnown) = place(of: entry.productID)
            if isKnown { entries[place] = entry } else { entries.insert(entry, at: place) }
        }
    }

    /// The removal of one product.
    init(removing productID: String, by stamp: EventStamp) {
        entries = [Entry(productID: productID, stamp: stamp, line: nil)]
    }

    /// - Parameter stored: in whatever order.
    init(stored: [Entry]) {
        for entry in stored { merge(entry) }
    }

    /// Takes over what `other` knows better.
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
