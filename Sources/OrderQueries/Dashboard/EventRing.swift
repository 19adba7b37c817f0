internal import DequeModule

/// The last events of a stream, with numbers. A client that was disconnected for a short time receives the events that
/// it missed. This is a pure value.
struct EventRing<Event> {
    private var events = Deque<Event>()
    /// The number of the newest event. The first event has number 1; 0 stands for the position before it.
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

    /// The events after a number; nil if some of them are no longer kept, or the ring has not given this number.
    func events(after number: Int64) -> [Event]? {
        let missed = last - number
        guard number >= 0, missed >= 0, missed <= Int64(events.count) else { return nil }
        return Array(events.suffix(Int(missed)))
    }
}

/// The id of an event: the epoch, which identifies the stream, and the number of the event. No other stream has the
/// same epoch.
struct StreamPosition: Hashable, Sendable {
    let epoch: String
    let number: Int64

    var text: String { "\(epoch)-\(number)" }

    init(epoch: String, number: Int64) {
        self.epoch = epoch
        self.number = number
    }

    /// - Returns: nil if the text is not the id of an event.
    init?(_ text: String) {
        guard text.utf8.count <= 64, let dash = text.lastIndex(of: "-"),
            let number = Int64(text[text.index(after: dash)...]), number >= 0
        else { return nil }
        self.init(epoch: String(text[..<dash]), number: number)
    }
}
