/// Which row of a page is produced next: one after the other, then those that had to wait for others, as often as need
/// be. Rows that wait keep their order. A pure value.
struct ProduceQueue {
    private let order: [Int]?
    private let count: Int
    private var place = 0
    private var waiting: [Int] = []
    /// The rows that had to wait, while they are gone through again.
    private var again: [Int]?

    /// - Parameters:
    ///   - order: the page's rows as they are to be produced; nil when they are produced as they come.
    ///   - count: how many there are.
    init(order: [Int]?, count: Int) {
        self.order = order
        self.count = count
    }

    /// The row to produce; nil at the end of a pass.
    var next: Int? {
        if let again { return place < again.count ? again[place] : nil }
        return place < count ? order?[place] ?? place : nil
    }

    /// The next row is produced, or left in the outbox.
    mutating func advance() {
        place += 1
    }

    /// The next row has to wait for another one.
    mutating func deferNext() {
        if let next { waiting.append(next) }
        place += 1
    }

    /// Rows that are not produced yet.
    var remaining: Int { (again?.count ?? count) - place + waiting.count }

    /// Whether rows of this pass have to wait.
    var hasWaiting: Bool { !waiting.isEmpty }

    /// Begins another pass, over the rows that had to wait.
    mutating func goThroughWaiting() {
        again = waiting
        waiting = []
        place = 0
    }
}
