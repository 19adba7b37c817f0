internal import StreamCore

/// Keeps a release that fails every event from making a dead letter of each: after so many parked in a row nothing
/// more is parked, and one event at a time is tried, until one can be applied.
///
/// The count is in the database, so an open brake survives a restart and holds all instances that meet failures.
struct Brake: Sendable {
    /// The count at which it opens; 0: never.
    let limit: Int
    private(set) var failuresInARow = 0
    private var backoff: Backoff
    private var tries = 0
    /// The timer that the next try waits for.
    private(set) var timer: Int?
    private(set) var isTryDue = false

    init(limit: Int, initial: Duration, ceiling: Duration) {
        self.limit = limit
        backoff = Backoff(initial: initial, ceiling: ceiling)
    }

    var isOpen: Bool { limit > 0 && failuresInARow >= limit }

    /// Failed events that may be parked in one transaction.
    var budget: Int { limit > 0 ? max(1, limit - failuresInARow) : .max }

    enum Change: Equatable {
        case opened, closed
    }

    /// The database says how many failures there were in a row.
    mutating func counted(_ failures: Int) -> Change? {
        let wasOpen = isOpen
        failuresInARow = failures
        guard isOpen != wasOpen else { return nil }
        backoff.reset()
        tries = 0
        timer = nil
        isTryDue = false
        return isOpen ? .opened : .closed
    }

    mutating func wait(for timer: Int) -> Duration {
        self.timer = timer
        return backoff.next()
    }

    mutating func fired(_ timer: Int) {
        guard timer == self.timer else { return }
        self.timer = nil
        isTryDue = true
    }

    /// Which of so many candidates to try now.
    ///
    /// Not one after the other: when the first thousand are bad and the next is good, that takes a day. The fractions
    /// 0, 1/2, 1/4, 3/4, 1/8 … meet both soon, and in the end all of them.
    mutating func takeTry(among count: Int) -> Int {
        isTryDue = false
        defer { tries += 1 }
        return Self.place(of: tries, among: count)
    }

    static func place(of tries: Int, among count: Int) -> Int {
        var fraction = 0.0
        var step = 0.5
        var rest = tries
        while rest > 0 {
            if rest & 1 == 1 { fraction += step }
            step /= 2
            rest >>= 1
        }
        return min(count - 1, Int(fraction * Double(count)))
    }
}
