internal import StreamCore

/// The open orders of one writer, which selects the next steps. A pure state machine that reads no clock.
///
/// With a rate, orders start when the pacer says, and each step follows after a pause that the lifecycle chooses.
/// Without a rate, the pauses only determine the order of the steps, no step waits, and the number of open orders is
/// constant.
struct OpenOrders {
    /// An order with a due time for its next step.
    struct Turn {
        var order: OrderLifecycle
        /// Seconds after the start. Without a rate, the value only determines the order of the steps.
        var due: Double
        /// Makes the order of steps with equal times deterministic.
        let number: Int
    }

    struct Plan {
        var pacer: LoadPacer
        /// The writer's order numbers, from 0, are `first`, `first + stride`, …
        var first: Int
        var stride: Int
        /// The number of orders that this writer starts; nil for no limit.
        var count: Int?
        /// The number of open orders if there is no rate.
        var window: Int
        /// The duration of a typical order's life in seconds.
        var lifetimeSeconds: Double
    }

    private let plan: Plan
    private let start: (_ number: Int) -> OrderLifecycle
    private var heap: [Turn] = []
    private(set) var started = 0
    private var playing = 0
    private var isClosed = false
    /// Without a rate, the due time of the last step.
    private var virtualNow = 0.0

    init(_ plan: Plan, start: @escaping (_ number: Int) -> OrderLifecycle) {
        self.plan = plan
        self.start = start
    }

    /// The number of open orders.
    var openCount: Int { heap.count + playing }

    /// Whether all orders of this writer have ended and it starts no more.
    var isFinished: Bool { openCount == 0 && !mayStart }

    private var mayStart: Bool { !isClosed && plan.count.map { started < $0 } ?? true }

    /// Starts no more orders. The open ones can be played to their end.
    mutating func close() { isClosed = true }

    /// The time of the next step, in seconds after the start; nil if no order is open. Always 0 without a rate.
    var nextDue: Double? {
        if plan.pacer.ordersPerSecond == 0 { return isFinished || heap.isEmpty && !mayStart ? nil : 0 }
        let newOrder = mayStart ? plan.pacer.due(started) : nil
        guard let step = heap.first?.due else { return newOrder }
        return min(step, newOrder ?? step)
    }

    /// Takes up to `limit` different orders whose next step is due. The caller plays one step of each and returns them
    /// with ``finish(_:at:)``.
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

    /// Returns the orders of ``take(at:limit:)`` after their steps were played.
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
