internal import DequeModule

/// The last events of a stream, numbered, so that a client that was away for a moment gets what it missed: a pure
/// value.
struct EventRing<Event> {
    private var events = Deque<Event>()
    /// The number of the newest event; the first one is 1, and 0 is before it.
    private(set) var last: Int64 = 0
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// - Returns: the event's number.
    @discardableResult
    mutating func append(_ event: Event) -> Int64 {
        if events.count == capacity { events.removeFirst() }
        events.append(event)
        last += 1
        return last
    }

    /// The number that the next event gets.
    var next: Int64 { last + 1 }

    /// The events behind a number; nil when some of them are gone, or the number is not one of this ring.
    func events(after number: Int64) -> [Event]? {
        let missed = last - number
        guard number >= 0, missed >= 0, missed <= Int64(events.count) else { return nil }
        return Array(events.suffix(Int(missed)))
    }
}

/// The id of an event: which stream, by an epoch that no other has, and which event of it.
struct StreamPosition: Hashable, Sendable {
    let epoch: String
    let number: Int64

    var text: String { "\(epoch)-\(number)" }

    init(epoch: String, number: Int64) {
        self.epoch = epoch
        self.number = number
    }

    /// - Returns: nil when the text is no such id.
    init?(_ text: String) {
        guard text.utf8.count <= 64, let dash = text.lastIndex(of: "-"),
            let number = Int64(text[text.index(after: dash)...]), number >= 0
        else { return nil }
        self.init(epoch: String(text[..<dash]), number: number)
    }
}
