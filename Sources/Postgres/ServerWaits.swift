internal import Synchronization

/// Counts the waits of a session for its server. Any thread can read it while the session blocks its own.
public final class ServerWaits: Sendable {
    /// One step at the begin of a wait and one at its end, so it is odd while the session waits.
    private let steps = Atomic<UInt64>(0)

    init() {}

    func step() { steps.wrappingAdd(1, ordering: .relaxed) }

    /// The number of waits so far; nil while the session waits.
    public var count: UInt64? {
        let steps = steps.load(ordering: .relaxed)
        return steps.isMultiple(of: 2) ? steps / 2 : nil
    }
}
