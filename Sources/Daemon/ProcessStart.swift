internal import Glibc

/// Prepares the process. It must run before the first thread starts.
enum ProcessStart {
    /// Parameters of `mallopt(3)` from glibc's `malloc.h`, which Swift's Glibc module does not contain.
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
        // If the reader of the log or of a socket goes away, the write must fail instead of ending the process.
        signal(SIGPIPE, SIG_IGN)
        // The parent may have blocked signals, and a process inherits the signal mask.
        var none = sigset_t()
        // SAFETY: both calls only use the given set.
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
    }

    private static func limitMemory() {
        // SAFETY: this is the type of the function in glibc. Another C library does not have the symbol, and then
        // nothing is done.
        guard let symbol = unsafe dlsym(nil, "mallopt") else { return }
        let mallopt = unsafe unsafeBitCast(symbol, to: (@convention(c) (Int32, Int32) -> Int32).self)
        // glibc would give each thread its own heap, which rarely shrinks, and the C libraries have many threads.
        _ = mallopt(Option.arenaMax, 2)
        // Large blocks are returned to the system when they are freed, so the heap does not keep its maximum size.
        _ = mallopt(Option.mmapThreshold, 1 << 20)
        _ = mallopt(Option.trimThreshold, 4 << 20)
    }
}
