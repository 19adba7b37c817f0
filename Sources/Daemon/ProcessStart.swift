internal import Glibc

/// What must be said before the first thread starts.
enum ProcessStart {
    /// Parameters of `mallopt(3)`, from glibc's `malloc.h`, which Swift's Glibc module leaves out.
    private enum Option {
        static let trimThreshold: Int32 = -1
        static let mmapThreshold: Int32 = -3
        static let arenaMax: Int32 = -8
    }

    static func prepare() {
        prepareSignals()
        limitMemory()
    }

    private static func prepareSignals() {
        // A reader of our log or of a socket that goes away is an error to be seen, not the end.
        signal(SIGPIPE, SIG_IGN)
        // The parent may have blocked signals, and a process inherits the signal mask.
        var none = sigset_t()
        // SAFETY: both calls only use the set that they are given.
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
    }

    private static func limitMemory() {
        // SAFETY: this is the function's type in glibc; another C library has no such symbol, and nothing is done.
        guard let symbol = unsafe dlsym(nil, "mallopt") else { return }
        let mallopt = unsafe unsafeBitCast(symbol, to: (@convention(c) (Int32, Int32) -> Int32).self)
        // glibc would give every thread a heap of its own that rarely shrinks, and the C libraries have many threads.
        _ = mallopt(Option.arenaMax, 2)
        // Large blocks go back to the system when they are freed, instead of keeping the heap at its highest mark.
        _ = mallopt(Option.mmapThreshold, 1 << 20)
        _ = mallopt(Option.trimThreshold, 4 << 20)
    }
}
