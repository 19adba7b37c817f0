internal import Glibc

extension Timestamp {
    /// The time of day by the system's clock, which may be set back.
    public static var now: Timestamp {
        var time = timespec()
        // SAFETY: the call fills the given value and keeps no pointer to it.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}
