internal import Glibc
internal import StreamCore

/// The time of day, which is what clients are told.
enum WallClock {
    static func now() -> Timestamp {
        var time = timespec()
        // SAFETY: the call fills the value that it is given and keeps nothing of it.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}
