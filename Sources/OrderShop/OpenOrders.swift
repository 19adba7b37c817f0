internal import StreamCore

/// The orders that one writer has open, and whose step is next: a pure state machine that reads no clock.
///
/// At a rate, orders start when the pacer says and each step follows after the lifecycle's own pause. Without a rate
/// the pauses only give the order of the steps, nobody waits for them, and a window of orders is kept open.
struct OpenOrders {
    /// An order with a step to play, and when.
    struct Turn {
        var order: OrderLifecycle
        /// Seconds after the start; without a rate, a measure that only orders the steps.
        var due: Double
        /// Breaks ties, so that equal times give equal runs.
        let number: Int
    }

    struct Plan {
        var pacer: LoadPacer
        /// Order numbers, from 0, of this writer: `first`, `first + stride`, …
        var first: Int
        var stride: Int
        /// How many orders this writer starts; nil for no end.
        var count: Int?
        /// How many orders are open at once when there is no rate.
        var window: Int
        /// Seconds that a typical whole life takes.
        var lifetimeSeconds: Double
    }

    private let plan: Plan
    private let start: (_ number: Int) -> OrderLifecycle
    private var heap: [Turn] = []
    private(set) var started = 0
    private var playing = 0
    private var isClosed = false
    /// Without a rate: the due time of the last step played.
    private var virtualNow = 0.0

    init(_ plan: Plan, start: @escaping (_ number: Int) -> OrderLifecycle) {
        self.plan = plan
        self.start = start
    }

    /// How many orders are under way.
    var openCount: Int { heap.count + playing }

    /// Whether every order that this writer may start has been played to its end.
    var isFinished: Bool { openCount == 0 && !mayStart }

    private var mayStart: Bool { !isClosed && plan.count.map { started < $0 } ?? true }

    /// No new orders from here on; the open ones may be played to their end.
    mutating func close() { isClosed = true }

    /// When the next step is due, in seconds after the start; nil when nothing is under way. Always 0 without a rate.
    var nextDue: Double? {
        if plan.pacer.ordersPerSecond == 0 { return isFinished || heap.isEmpty && !mayStart ? nil : 0 }
        let newOrder = mayStart ? plan.pacer.due(started) : nil
        guard let step = heap.first?.due else { return newOrder }
        return min(step, newOrder ?? step)
    }

    /// Takes up to `limit` orders whose next step is due, each at most once. The caller plays one step of each and
    /// gives them back with ``finish(_:at:)``.
    mutating func take(at now: Double, limit: Int) -> [Turn] {
        var turns: [Turn] = []
        while turns.count < limit {
            if startsOrder(at: now) {
                let number = plan.first + started * plan.stride
                turns.append(Turn(order: start(number), due: now, number: number))
                started += 1
            } else if let next = heap.first, plan.pacer.ordersPerSecond == 0 || next.due <= now {
                virtualNow = max(virtualNow, next.due)
                turns.append(removeFirst())
            } else {
                break
            }
            playing += 1
        }
        return turns
    }

    private func startsOrder(at now: Double) -> Bool {
        guard mayStart else { return false }
        if plan.pacer.ordersPerSecond == 0 { return openCount < plan.window }
        return plan.pacer.due(started) <= now
    }

    /// Gives back the orders that `take` handed out, their steps played.
    mutating func finish(_ turns: [Turn], at now: Double) {
        playing -= turns.count
        let reference = plan.pacer.ordersPerSecond == 0 ? virtualNow : now
        for var turn in turns where !turn.order.isOver {
            turn.due = reference + turn.order.pause * plan.lifetimeSeconds
            insert(turn)
        }
    }

    // MARK: a binary heap, the earliest step first

    private mutating func insert(_ turn: Turn) {
        heap.append(turn)
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func removeFirst() -> Turn {
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (heap[left].due, heap[left].number) < (heap[right].due, heap[right].number)
    }
}
