/// One possible way to apply the events of a case: an order that is divided into batches. Some batches are rolled back
/// once and applied again.
struct Schedule: Hashable, Sendable {
    struct Batch: Hashable, Sendable {
        /// The indexes of its events.
        var events: [Int]
        /// Whether the batch is applied, rolled back, and applied again.
        var isRolledBackOnce = false
    }

    var batches: [Batch]

    var order: [Int] { batches.flatMap(\.events) }

    /// Each event in its own batch, in the order of the case. All other schedules must have the same result.
    static func oneByOne(_ count: Int) -> Schedule {
        Schedule(batches: (0..<count).map { Batch(events: [$0]) })
    }

    /// - Parameters:
    ///   - keys: the key of each event. Events with the same key keep their order. nil if the event needs no order.
    ///   - random: the source of the order, the sizes and the rollbacks.
    static func random(_ keys: [String?], using random: inout some RandomNumberGenerator) -> Schedule {
        var queues: [[Int]] = []
        var places: [String: Int] = [:]
        for (index, key) in keys.enumerated() {
            if let key, let place = places[key] {
                queues[place].append(index)
            } else {
                if let key { places[key] = queues.count }
                queues.append([index])
            }
        }
        var order: [Int] = []
        var next = Array(repeating: 0, count: queues.count)
        while order.count < keys.count {
            // Weighted by the number of remaining events, so that all interleavings have the same probability.
            var pick = Int.random(in: 0..<(keys.count - order.count), using: &random)
            for (place, queue) in queues.enumerated() {
                let left = queue.count - next[place]
                if pick < left {
                    order.append(queue[next[place]])
                    next[place] += 1
                    break
                }
                pick -= left
            }
        }
        return Schedule(cutting: order, using: &random)
    }

    private init(cutting order: [Int], using random: inout some RandomNumberGenerator) {
        batches = []
        let largest = Int.random(in: 1...max(1, order.count), using: &random)
        var rest = order[...]
        while !rest.isEmpty {
            let size = Int.random(in: 1...min(largest, rest.count), using: &random)
            batches.append(
                Batch(events: Array(rest.prefix(size)), isRolledBackOnce: Int.random(in: 0..<4, using: &random) == 0))
            rest = rest.dropFirst(size)
        }
    }

    init(batches: [Batch]) {
        self.batches = batches
    }

    // MARK: making it smaller

    /// Schedules that are one step simpler: without an event, with fewer rollbacks, with smaller batches, or in an
    /// order closer to the case's. All other properties stay unchanged.
    var simplifications: [Schedule] {
        var simpler: [Schedule] = []
        for event in order.sorted() { simpler.append(without(event)) }
        for index in batches.indices where batches[index].isRolledBackOnce {
            var copy = self
            copy.batches[index].isRolledBackOnce = false
            simpler.append(copy)
        }
        for index in batches.indices where batches[index].events.count > 1 {
            let events = batches[index].events
            for cut in 1..<events.count {
                var copy = self
                copy.batches.replaceSubrange(
                    index...index, with: [Batch(events: Array(events[..<cut])), Batch(events: Array(events[cut...]))])
                simpler.append(copy)
            }
        }
        return simpler
    }

    private func without(_ event: Int) -> Schedule {
        var copy = self
        for index in copy.batches.indices { copy.batches[index].events.removeAll { $0 == event } }
        copy.batches.removeAll { $0.events.isEmpty }
        return copy
    }
}
