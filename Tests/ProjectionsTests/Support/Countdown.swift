import Synchronization

/// Returns true the given number of times, and false from then on.
final class Countdown: Sendable {
    private let remaining: Atomic<Int>

    init(_ count: Int) {
        remaining = Atomic(count)
    }

    func next() -> Bool {
        remaining.wrappingSubtract(1, ordering: .relaxed).newValue >= 0
    }

    var isUsedUp: Bool { remaining.load(ordering: .relaxed) <= 0 }
}
