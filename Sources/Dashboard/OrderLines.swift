public import Orders

/// The lines of an order as a last-writer-wins map: for each product, the line that the event of the greatest sequence
/// left there, or that it removed it. Removals are kept, lest an older event that comes later bring a line back.
///
/// Merging is commutative, associative and idempotent.
public struct OrderLines: Hashable, Sendable {
    /// What became of one product.
    public struct Entry: Hashable, Sendable {
        public let productID: String
        /// Of the order's event that says so.
        public let sequence: Int64
        /// nil: removed.
        public let line: OrderLine?

        public init(productID: String, sequence: Int64, line: OrderLine?) {
            self.productID = productID
            self.sequence = sequence
            self.line = line
        }
    }

    /// One a product, in the order of the product ids' bytes.
    public private(set) var entries: [Entry] = []

    /// The lines that one event sets. Of two lines of the same product the later one counts.
    init(_ lines: [OrderLine], sequence: Int64) {
        for line in lines {
            let entry = Entry(productID: line.productID, sequence: sequence, line: line)
            let (place, isKnown) = place(of: entry.productID)
            if isKnown { entries[place] = entry } else { entries.insert(entry, at: place) }
        }
    }

    /// The removal of one product.
    init(removing productID: String, sequence: Int64) {
        entries = [Entry(productID: productID, sequence: sequence, line: nil)]
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

extension OrderLines.Entry {
    /// Whether `other` takes this one's place. Two events of one sequence are a fault of their writer; which of them
    /// holds is decided by what they say, so that it is the same everywhere.
    fileprivate func isBefore(_ other: Self) -> Bool {
        if sequence != other.sequence { return sequence < other.sequence }
        guard let line, let otherLine = other.line else { return line != nil && other.line == nil }
        if line.quantity != otherLine.quantity { return line.quantity < otherLine.quantity }
        if line.unitPrice != otherLine.unitPrice { return line.unitPrice < otherLine.unitPrice }
        if line.unitPrice.scale != otherLine.unitPrice.scale { return line.unitPrice.scale < otherLine.unitPrice.scale }
        return ExactText.compare(line.name, otherLine.name) < 0
    }
}
