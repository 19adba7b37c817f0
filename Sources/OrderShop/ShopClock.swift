internal import Glibc
internal import StreamCore

extension Timestamp {
    /// The system's clock.
    static var now: Timestamp {
        var time = timespec()
        // SAFETY: the call fills `time` and keeps nothing of it.
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}
