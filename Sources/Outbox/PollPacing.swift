/// Computes the delay before the next page is read: none after a full page, a short one while rows come, and a quarter
/// of the time since the last row while none come. So a row waits about an eighth of the time since the row before it,
/// and an idle relay reads rarely.
///
/// If reading takes long because the database or the processors are busy, the delay is at least as long as the read.
/// The relay then reads fewer but larger pages, which cost less.
///
/// This is a pure value: it neither sleeps nor reads a clock.
struct PollPacing {
    /// The content of the last page.
    enum Page {
        /// As many rows as requested.
        case full
        /// Fewer rows than requested.
        case some
        /// No rows.
        case empty
    }

    /// The delay after a page with rows.
    let busy: Duration
    /// The maximum delay.
    let idle: Duration

    /// The sum of the delays since the last page with rows.
    private var quiet = Duration.zero

    init(busy: Duration, idle: Duration) {
        self.busy = busy
        self.idle = max(busy, idle)
    }

    /// The delay after a page.
    ///
    /// - Parameter cost: the time for reading and producing the page.
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

/// Computes the number of rows to request, so that a page does not exceed its size in bytes.
///
/// The sizes of the next rows are unknown when they are requested. Therefore the server omits the values of each row
/// that is larger than its share, ``rowBytes``. No page is larger than ``overrun`` times its target, except a page of
/// one row.
struct PageSizing {
    /// Maximum ratio of a page's size to its target. It is reached only if the rows have different sizes.
    static let overrun = 8

    /// Maximum number of rows in a page.
    let maximumRows: Int
    /// Target size of a page, in bytes.
    let targetBytes: Int

    private(set) var rows: Int

    init(maximumRows: Int, targetBytes: Int) {
        self.maximumRows = maximumRows
        self.targetBytes = targetBytes
        // The first page is small, because the sizes of the rows are unknown.
        rows = min(maximumRows, 64)
    }

    /// A row that is larger than this comes without its values, in bytes. There is no limit for a page of one row.
    var rowBytes: Int32 { rows == 1 ? .max : Int32(clamping: Self.overrun * targetBytes / rows) }

    /// Notes that a page ended before a row of this size.
    mutating func met(tooLarge bytes: Int) {
        rows = max(1, min(rows / 2, targetBytes / max(1, bytes)))
    }

    /// Notes that a page was read. The number of rows shrinks at once and grows by doubling, because the next rows may
    /// be larger.
    mutating func read(rows count: Int, bytes: Int) {
        guard count > 0 else { return }
        let fitting = max(1, targetBytes / max(1, bytes / count))
        rows = max(1, min(maximumRows, fitting, max(rows * 2, 64)))
    }
}

/// Decides when to read the whole outbox again, from its lowest row. This finds rows whose ids were not drawn from the
/// sequence in time (a sequence with a cache, or explicit ids), so no gap announces them.
struct SweepSchedule {
    /// Minimum time between two sweeps.
    let interval: Duration
    /// Sweeps use at most one part in this number of the time.
    static let costShare = 50

    private var due: ContinuousClock.Instant
    private var startedAt: ContinuousClock.Instant?

    init(interval: Duration, now: ContinuousClock.Instant) {
        self.interval = interval
        due = now + interval
    }

    /// Whether a sweep is due.
    func isDue(at now: ContinuousClock.Instant) -> Bool { startedAt == nil && now >= due }

    /// Notes that a sweep began.
    mutating func started(at now: ContinuousClock.Instant) {
        startedAt = now
    }

    /// Notes that the sweep has ended.
    mutating func finished(at now: ContinuousClock.Instant) {
        guard let startedAt else { return }
        due = now + max(interval, (now - startedAt) * Self.costShare)
        self.startedAt = nil
    }
}
