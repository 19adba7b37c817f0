internal import Postgres
internal import Synchronization

/// Where the code of a projection is, for the liveness of the process.
///
/// Code that stands still holds up the run, and only a restart ends that. Code that waits for PostgreSQL does not stand
/// still, because a restart helps no database that is slow or away.
final class HandlerPlace: Sendable {
    /// Two equal points mean that the code has done nothing that is visible from outside in between.
    struct Point: Equatable {
        /// The number of times that the code was entered.
        let entries: UInt64
        /// The number of waits for the database so far.
        let waits: UInt64
    }

    private struct State {
        var entries: UInt64 = 0
        var isInside = false
        var waits: ServerWaits?
    }

    private let state = Mutex(State())

    /// - Parameter waits: those of the session that the code uses; nil if it uses none.
    func enter(_ waits: ServerWaits? = nil) {
        state.withLock { state in
            state.entries += 1
            state.isInside = true
            state.waits = waits
        }
    }

    func leave() {
        state.withLock { state in
            state.isInside = false
            state.waits = nil
        }
    }

    /// nil if the code is outside, or waits for the database.
    var point: Point? {
        state.withLock { state in
            guard state.isInside else { return nil }
            guard let waits = state.waits else { return Point(entries: state.entries, waits: 0) }
            return waits.count.map { Point(entries: state.entries, waits: $0) }
        }
    }
}
