internal import Kafka
internal import Leadership
internal import Postgres
internal import StreamCore

/// Publishes one shard while it holds the shard's lock. The path of a row, from top to bottom:
///
///     read a page  →  produce its rows  →  Kafka acknowledges  →  Remover removes them
///
/// All steps run at the same time: the next page is read while one is produced, many pages are in flight, and rows are
/// removed when they are acknowledged.
///
/// Every failure has the same reaction: the relay forgets the rows without an acknowledgement and goes back to the
/// lowest of them. The ``FlightTable`` recognises rows that are in flight, so nothing that Kafka has is sent again.
final class ShardRelay {
    private let configuration: OutboxRelayConfiguration
    private let layout: RowLayout
    private let statements: OutboxStatements
    private let reader: PostgresConnection
    private let readerThread: any TaskExecutor
    private let questions: OutboxQuestions
    private let writer: OutboxWriter
    private let kafka: KafkaClientConfiguration
    private let flight: Flight
    private let notices: OutboxNotices
    private let pages: PageProducer
    private let stop: StopSignal
    private let reports: RelayReports
    private let limits: Live<RelayLimits>
    /// The limits that are in use.
    private var appliedLimits: RelayLimits

    private var producer: Producer
    private var batchLimit: BatchLimit
    private var cursor = ScanCursor()
    private var origin: OutboxOrigin?
    private var pacing: PollPacing
    private var sizing: PageSizing
    /// The page size of the backlog and the sweep. Their rows may have other sizes than new ones.
    private var backgroundSizing: PageSizing
    private var sweeps: SweepSchedule
    private var restartBackoff = Backoff(initial: .milliseconds(50), ceiling: .seconds(10))
    private var housekeeping: Housekeeping
    private var lastScan = ScanCursor.Scan.forward
    /// The time of the last event that was read, while there are more rows to read.
    private var lagging: Timestamp?
    /// Whether the last page of new rows was full, so there may be more.
    private var isBehind = false

    init(
        _ configuration: OutboxRelayConfiguration, layout: RowLayout, statements: OutboxStatements,
        reader: PostgresConnection, on thread: PostgresThread, writer: OutboxWriter, kafka: KafkaClientConfiguration,
        flight: Flight, notices: OutboxNotices, stop: StopSignal, reports: RelayReports, limits: Live<RelayLimits>
    ) throws(KafkaError) {
        self.notices = notices
        self.configuration = configuration
        self.layout = layout
        self.statements = statements
        self.reader = reader
        readerThread = thread.taskExecutor
        questions = OutboxQuestions(reader: reader, writer: writer, statements: statements)
        self.writer = writer
        self.kafka = kafka
        self.flight = flight
        self.stop = stop
        self.reports = reports
        self.limits = limits
        appliedLimits = limits.now
        flight.limit(appliedLimits)
        pacing = appliedLimits.pacing
        sizing = PageSizing(maximumRows: configuration.pageRows, targetBytes: configuration.pageBytes)
        backgroundSizing = sizing
        sweeps = SweepSchedule(interval: .milliseconds(configuration.sweepIntervalMs), now: .now)
        housekeeping = Housekeeping(configuration)
        batchLimit = BatchLimit(kafka)
        producer = try RelayProducer.make(configuration, kafka, batchLimit, flight, reports)
        flight.use(producer)
        pages = PageProducer(
            configuration, layout: layout, writer: writer, flight: flight, producer: producer, stop: stop,
            reports: reports)
    }

    /// Runs until told to stop. Then it waits for acknowledgements, at most the configured time.
    ///
    /// - Throws: the error of the database, or the reason why the lock was lost. Nothing is published afterwards.
    func run() async throws {
        do {
            try await publishUntilStopped()
        } catch {
            producer.purge()
            await producer.close(timeoutMs: 0)
            throw error
        }
        await producer.close(timeoutMs: Int32(clamping: configuration.drainTimeoutMs))
        let undelivered = flight.rows + flight.abandonProducer().failures.count
        if undelivered > 0 { reports.undelivered(undelivered) }
    }

    // MARK: - read

    private func publishUntilStopped() async throws {
        try await begin()
        var page = try await untilAccepted(read(nextRequest()))
        while let current = page {
            if hasMore(behind: current) {
                page = try await drain(from: current)
            } else {
                page = try await withTaskExecutorPreference(readerThread) { try await follow(from: current) }
            }
        }
    }

    /// Whether there are more rows to read at once.
    private func hasMore(behind page: Page) -> Bool {
        page.isFull || page.request.isSlice || cursor.hasBackground
    }

    /// Publishes a backlog: while a page is produced, the next one is read on the reader's thread.
    ///
    /// - Returns: the first page that has no more rows behind it; nil if the relay is to stop.
    private func drain(from first: Page) async throws -> Page? {
        var page: Page? = first
        while let current = page, hasMore(behind: current) {
            _ = pacing.next(after: .full, cost: .zero)
            page = try await untilAccepted(read(nextRequest(), whileProducing: current))
        }
        return page
    }

    /// Publishes rows as they are inserted: small pages, with pauses between them. It runs on the reader's thread, so
    /// from the notification of a row to its page, the work changes threads once.
    ///
    /// - Returns: the first page that has more rows behind it; nil if the relay is to stop.
    private func follow(from first: Page) async throws -> Page? {
        var page: Page? = first
        while let current = page, !hasMore(behind: current) {
            let start = ContinuousClock.now
            try await produce(current)
            let cost = current.duration + (ContinuousClock.now - start)
            let wait = pacing.next(after: current.ids.isEmpty ? .empty : .some, cost: cost)
            if current.ids.isEmpty {
                await notices.wait(atMost: notices.areSent ? pacing.idle : wait)
            } else {
                await pause(for: wait, after: current)
            }
            page = try await untilAccepted(read(nextRequest()))
        }
        return page
    }

    /// Does the work between two pages. Then it reads again until the cursor takes a page and no older rows can become
    /// visible.
    ///
    /// - Parameter first: the page that was read; nil to read one.
    /// - Returns: nil if the relay is to stop.
    private func untilAccepted(_ first: Page?) async throws -> Page? {
        var page = first
        while !stop.isSet {
            try await settle()
            // A page is dropped if the cursor was rewound after its request.
            if let current = page, cursor.take(current.ids, isFull: current.isFull, of: current.request) {
                noteRead(current)
                if try await lookIntoGaps(before: current) { return current }
            }
            page = try await read(nextRequest())
        }
        return nil
    }

    /// Pauses after a page with rows.
    private func pause(for wait: Duration, after page: Page) async {
        let end = ContinuousClock.now + wait
        // A full page fills batches. The rows of this small page would wait in vain for more rows.
        if page.ids.count <= Self.fewRows { producer.sendWithoutLinger(blockingMs: 1) }
        await flight.newsSignal.wait(atMost: max(end - .now, .zero))
    }

    /// The largest page whose records are sent without `linger.ms`.
    private static let fewRows = 8

    /// Reads the blocked keys and the highest id before the first page.
    private func begin() async throws {
        _ = pages.replaceBlocked(with: try await questions.blockedKeys(by: layout.topics))
        let origin = try await questions.origin()
        self.origin = origin
        // Most transactions end within milliseconds. After a short wait, no late rows have to be searched.
        var writers = try await questions.lockHolders()
        let deadline = ContinuousClock.now + Self.writersPatience
        while !writers.isEmpty && !stop.isSet && ContinuousClock.now < deadline {
            await flight.newsSignal.wait(atMost: .milliseconds(10))
            writers = writers.remaining(among: try await questions.lockHolders())
        }
        cursor.begin(frontier: origin.lastPosition, hasWriters: !writers.isEmpty)
    }

    private static let writersPatience = Duration.seconds(1)

    /// Alternates between new rows and rows that were left in the outbox.
    private func nextRequest() -> ScanCursor.Request {
        if let first = pages.serveBacklog() { cursor.serveBacklog(from: first) }
        if cursor.backlogPosition != nil && !pages.admission.isServing { cursor.stopBacklog() }
        var request: ScanCursor.Request?
        if lastScan == .forward {
            request = cursor.nextBackgroundRequest(
                limit: backgroundSizing.rows, rowBytes: backgroundSizing.rowBytes)
        }
        let next = request ?? cursor.nextRequest(limit: sizing.rows, rowBytes: sizing.rowBytes)
        lastScan = next.scan
        notices.beginRead()
        flight.willRead(next.number)
        return next
    }

    private func read(_ request: ScanCursor.Request) async throws -> Page? {
        let (statement, parameters) = statements.query(for: request)
        return try arrived(try await Self.fetch(request, reader, statement, parameters), for: request)
    }

    /// Reads a page while another one is produced.
    private func read(_ request: ScanCursor.Request, whileProducing page: Page) async throws -> Page? {
        let (reader, (statement, parameters)) = (reader, statements.query(for: request))
        async let following = Self.fetch(request, reader, statement, parameters)
        try await produce(page)
        return try arrived(try await following, for: request)
    }

    /// Sends rows that became visible in gaps that the page's statement did not read. The page may contain younger rows
    /// of the same keys.
    ///
    /// - Returns: false if the page must be read again.
    private func lookIntoGaps(before page: Page) async throws -> Bool {
        guard cursor.needsLook(before: page.request, isEmpty: page.ids.isEmpty) else { return true }
        cursor.lockHolders(try await questions.lockHolders())
        cursor.beginLook(before: page.request)
        while !stop.isSet, let request = cursor.nextLook(limit: sizing.rows, rowBytes: sizing.rowBytes) {
            flight.willRead(request.number)
            try await tellProgress()
            guard let late = try await read(request) else { continue }
            if !late.ids.isEmpty {
                for _ in 0..<2 { cursor.lockHolders(try await questions.lockHolders()) }
                if cursor.isLookOutdated {
                    cursor.beginLook(before: page.request)
                    continue
                }
            }
            guard cursor.take(late.ids, isFull: late.isFull, of: request) else { return false }
            reports.read(rows: late.ids.count)
            Self.adapt(&sizing, to: late)
            try await produce(late)
        }
        return cursor.isCurrent(page.request)
    }

    /// The result of a page's statement, and its duration.
    private struct Fetched {
        /// nil: the server cancelled the statement after its timeout, and the request may be repeated with fewer ids.
        let result: QueryResult?
        let duration: Duration
    }

    private static func fetch(
        _ request: ScanCursor.Request, _ reader: PostgresConnection, _ statement: Statement, _ parameters: Parameters
    ) async throws -> Fetched {
        let start = ContinuousClock.now
        var result: QueryResult?
        do throws(PostgresError) {
            result = try await reader.execute(statement, parameters)
        } catch {
            guard request.isDivisible && error.isStatementTimeout else { throw error }
        }
        return Fetched(result: result, duration: ContinuousClock.now - start)
    }

    private func arrived(_ fetched: Fetched, for request: ScanCursor.Request) throws -> Page? {
        cursor.took(fetched.result == nil ? .seconds(60) : fetched.duration, for: request)
        return try fetched.result.map { try Page(request, $0, duration: fetched.duration) }
    }

    private func noteRead(_ page: Page) {
        reports.read(rows: page.ids.count)
        guard page.request.scan == .forward else { return Self.adapt(&backgroundSizing, to: page) }
        if !page.ids.isEmpty { notices.foundRows() }
        Self.adapt(&sizing, to: page)
        isBehind = page.isFull || page.request.isSlice
        lagging =
            page.isFull && !page.ids.isEmpty
            ? try? page.result.optionalTimestamp(page.ids.count - 1, RowColumn.occurredAt.rawValue) : nil
    }

    private static func adapt(_ sizing: inout PageSizing, to page: Page) {
        sizing.read(rows: page.ids.count, bytes: page.bytes)
        if let size = page.tooLarge { sizing.met(tooLarge: size) }
    }

    private func produce(_ page: Page) async throws {
        if !page.ids.isEmpty { try await ensureLock() }
        switch try await pages.produce(page, backlog: cursor.backlogPosition, tellProgress) {
        case .interrupted: cursor.putBack(page.ids, of: page.request)
        case .finished:
            guard cursor.finish(page.request) else { return }
            if page.request.scan == .backlog {
                pages.caughtUp()
            } else {
                pages.finishSweep()
                sweeps.finished(at: .now)
            }
        }
    }

    // MARK: - settle: what happened meanwhile

    /// Runs between two pages: failures, topics, the lock, and periodic work.
    private func settle() async throws {
        try flight.checkLock()
        if pages.settle() { restartBackoff.reset() }
        if flight.hasFailed { try await replaceProducer() }
        let now = ContinuousClock.now
        if sweeps.isDue(at: now) {
            cursor.startSweep()
            sweeps.started(at: now)
        }
        if cursor.gaps.wantsLockHolders && housekeeping.gaps.isDue(now) {
            cursor.lockHolders(try await questions.lockHolders())
        }
        if pages.admission.hasBlockedKeys && housekeeping.blocked.isDue(now) {
            if pages.replaceBlocked(with: try await questions.blockedKeys(by: layout.topics)) {
                reports.released()
            }
        }
        if housekeeping.origin.isDue(now) { try await lookAtOrigin() }
        try await tellProgress()
    }

    /// Reports numbers once a second, even while the relay waits. Otherwise old numbers would look current.
    private func tellProgress() async throws {
        applyLimits()
        guard housekeeping.progress.isDue(.now) else { return }
        // Only a full page can have more rows behind it.
        let position = cursor.isRescanning && cursor.position > 0 ? cursor.position : cursor.highest
        let unread = isBehind ? max(0, (origin?.lastPosition ?? 0) - max(position, 0)) : 0
        reports.progress(
            .init(
                inFlight: flight.rows,
                backlog: unread / Int64(configuration.shards) + pages.unproduced + pages.left,
                blockedKeys: pages.admission.blockedCount, heldTopics: pages.admission.heldCount,
                oldest: [flight.oldest, lagging].compactMap(\.self).min()))
    }

    /// Takes over limits that have changed, also while the relay waits for acknowledgements.
    private func applyLimits() {
        let limits = limits.now
        guard limits != appliedLimits else { return }
        appliedLimits = limits
        flight.limit(limits)
        pacing = limits.pacing
    }

    /// Detects that the table was emptied and its ids begin again.
    private func lookAtOrigin() async throws {
        let current = try await questions.origin()
        if let origin, current.mayRepeat(origin) {
            cursor.restart(knowsRows: current.lastPosition >= origin.lastPosition)
            pages.restartBacklog()
            sweeps.finished(at: .now)
        }
        origin = current
    }

    /// - Throws: if the session that holds the lock does not answer, or no longer holds it.
    private func ensureLock() async throws {
        try flight.checkLock()
        guard ContinuousClock.now - flight.lastContact >= .milliseconds(configuration.leaseCheckMs) else { return }
        // This process may have been suspended for a long time, so another process may hold the lock now.
        try await writer.lock.verify()
        flight.noteContact()
    }

    /// Replaces the producer and goes back to the lowest row of its records.
    private func replaceProducer() async throws {
        producer.purge()
        await producer.close(timeoutMs: 0)
        let (failures, lowest) = flight.abandonProducer()
        reports.replacing(failures.first?.error, rows: failures.count)
        if !failures.contains(where: { DeliveryFailure($0.error) == .record }) {
            await flight.newsSignal.wait(atMost: restartBackoff.next())
        }
        try flight.checkLock()
        let hadLargeBatches = batchLimit.lower(after: failures.map(\.error))
        producer = try RelayProducer.make(configuration, kafka, batchLimit, flight, reports)
        flight.use(producer)
        try await pages.replace(producer, after: hadLargeBatches ? [] : failures)
        if let lowest { cursor.rewind(to: lowest) }
    }
}
