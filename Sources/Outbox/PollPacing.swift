/// How long to wait before the next page is read: not at all when the page was full, a moment while rows come, and a
/// quarter of the time since the last row where none comes. So a row waits for its reading for about an eighth of the
/// time since the row before it, and an idle relay reads seldom.
///
/// Where the database or the processors are busy and reading takes long, it waits as long as the reading took: fewer
/// and larger pages then cost less.
///
/// A pure value: it neither sleeps nor reads a clock.
struct PollPacing {
    /// What the last page held.
    enum Page {
        /// As many rows as were asked for.
        case full
        /// Fewer, but some.
        case some
        /// None.
        case empty
    }

    /// The wait after a page with rows.
    let busy: Duration
    /// No wait is longer, so no event waits longer for its reading.
    let idle: Duration

    /// The waits since the last page with rows.
    private var quiet = Duration.zero

    init(busy: Duration, idle: Duration) {
        self.busy = busy
        self.idle = max(busy, idle)
    }

    /// The wait after a page.
    ///
    /// - Parameter cost: how long it took to read and produce.
    mutating func next(after page: Page, cost: Duration) -> Duration {
        switch page {
        case .full:
            quiet = .zero
            return .zero
        case .some:
            quiet = .zero
            return min(max(busy, cost), idle)
        case .empty:
            let wait = min(max(busy, quiet / 4, cost), idle)
            quiet = min(quiet + wait, idle * 4)
            return wait
        }
    }
}

/// How many rows to ask for, so that a page stays within its bytes.
///
/// The sizes of the next rows are not known when they are asked for. So the server holds back the values of each row
/// that is larger than its share, ``rowBytes``: no page is larger than ``overrun`` times its target, unless it is one
/// row.
struct PageSizing {
    /// A page may be so many times larger than its target, where rows are of different sizes.
    static let overrun = 8

    /// Rows of a page, at most.
    let maximumRows: Int
    /// Bytes of a page, about.
    let targetBytes: Int

    private(set) var rows: Int

    init(maximumRows: Int, targetBytes: Int) {
        self.maximumRows = maximumRows
        self.targetBytes = targetBytes
        // The first page is small: nothing is known yet of the rows.
        rows = min(maximumRows, 64)
    }

    /// A row that is larger comes without its values; none does when it comes alone.
    var rowBytes: Int32 { rows == 1 ? .max : Int32(clamping: Self.overrun * targetBytes / rows) }

    /// A page ended before a row of this size.
    mutating func met(tooLarge bytes: Int) {
        rows = max(1, min(rows / 2, targetBytes / max(1, bytes)))
    }

    /// A page was read. Sizes shrink at once and grow by doubling: the next rows may be larger than the last.
    mutating func read(rows count: Int, bytes: Int) {
        guard count > 0 else { return }
        let fitting = max(1, targetBytes / max(1, bytes / count))
        rows = max(1, min(maximumRows, fitting, max(rows * 2, 64)))
    }
}

/// When to look at the whole outbox again, from its lowest row: for rows whose ids were not drawn from the sequence in
/// time (a sequence with a cache, explicit ids), which no gap foretells.
struct SweepSchedule {
    /// Milliseconds between two sweeps, at least.
    let interval: Duration
    /// A sweep may cost one part in so many of the time.
    static let costShare = 50

    private var due: ContinuousClock.Instant
    private var startedAt: ContinuousClock.Instant?

    init(interval: Duration, now: ContinuousClock.Instant) {
        self.interval = interval
        due = now + interval
    }

    /// Whether to start one now.
    func isDue(at now: ContinuousClock.Instant) -> Bool { startedAt == nil && now >= due }

    /// The cursor was rewound, for whatever reason.
    mutating func started(at now: ContinuousClock.Instant) {
        startedAt = now
    }

    /// The cursor is where it was before.
    mutating func finished(at now: ContinuousClock.Instant) {
        guard let startedAt else { return }
        due = now + max(interval, (now - startedAt) * Self.costShare)
        self.startedAt = nil
    }
}
