internal import Postgres
internal import Synchronization

/// Tracks whether the code of a projection is running, for the liveness of the process.
///
/// Code that hangs blocks the run, and only a restart ends that. Code that waits for PostgreSQL does not count as
/// hanging, because a restart does not help if the database is slow or not available.
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

    /// - Parameter waits: the waits of the session that the code uses; nil if it uses none.
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

    /// The current point; nil if no code of the projection runs, or it waits for the database.
    var point: Point? {
        state.withLock { state in
            guard state.isInside else { return nil }
            guard let waits = state.waits else { return Point(entries: state.entries, waits: 0) }
            return waits.count.map { Point(entries: state.entries, waits: $0) }
        }
    }
}
