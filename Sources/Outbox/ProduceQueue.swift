/// The order in which the rows of a page are produced. After the first pass, the rows that had to wait for others are
/// produced in further passes. Waiting rows keep their order. This is a pure value.
struct ProduceQueue {
    private let order: [Int]?
    private let count: Int
    private var place = 0
    private var waiting: [Int] = []
    /// The rows of the current pass, if it is not the first.
    private var again: [Int]?

    /// - Parameters:
    ///   - order: the indexes of the rows in the order of producing; nil for the page's order.
    ///   - count: the number of rows.
    init(order: [Int]?, count: Int) {
        self.order = order
        self.count = count
    }

    /// The index of the next row; nil at the end of a pass.
    var next: Int? {
        if let again { return place < again.count ? again[place] : nil }
        return place < count ? order?[place] ?? place : nil
    }

    /// Notes that the next row was produced, or left in the outbox.
    mutating func advance() {
        place += 1
    }

    /// Notes that the next row must wait for another one.
    mutating func deferNext() {
        if let next { waiting.append(next) }
        place += 1
    }

    /// The number of rows that are not produced yet.
    var remaining: Int { (again?.count ?? count) - place + waiting.count }

    /// Whether rows of this pass must wait.
    var hasWaiting: Bool { !waiting.isEmpty }

    /// Begins another pass over the waiting rows.
    mutating func goThroughWaiting() {
        again = waiting
        waiting = []
        place = 0
    }
}
