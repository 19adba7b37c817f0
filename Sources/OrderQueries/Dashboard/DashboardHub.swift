internal import HTTP
internal import Logging
internal import Postgres
internal import StreamCore
internal import Synchronization

/// Computes each requested window once, and sends the result to all its clients.
///
/// Each turn asks whether any projection has committed. The hub reads the windows again only if one has, or if a bucket
/// has ended. Reading takes at most a quarter of the time: after a slow read, the next turn comes later. The pause is
/// at most ten seconds.
final class DashboardHub: Sendable {
    private let postgres: PostgresConfiguration
    private let pipeline: PipelineWatch
    private let configuration: DashboardHubConfiguration
    private let logger: Logger
    private let channels: [DashboardWindow: StreamChannel]
    private let pending = Mutex(Pending())

    /// The requests that wait for a window that is not computed yet.
    private struct Pending {
        var continuations: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var lastID: UInt64 = 0
        var sleeper: CheckedContinuation<Void, Never>?
        /// Whether the last turn failed to read.
        var hasFailed = false
    }

    /// Time for which a window is kept up to date after its last request.
    private static let patience = Duration.seconds(5)
    private static let timeoutMs = 10_000
    /// Maximum time to connect, in milliseconds. It is short because a request waits for the turn, and the turn for the
    /// connection.
    private static let connectTimeoutMs = 1_000

    init(
        _ postgres: PostgresConfiguration, _ pipeline: PipelineWatch, _ configuration: DashboardHubConfiguration,
        logger: Logger
    ) {
        var session = DashboardStatements.session(postgres, statementTimeoutMs: Self.timeoutMs)
        session.connectTimeoutMs = min(session.connectTimeoutMs, Self.connectTimeoutMs)
        self.postgres = session
        self.pipeline = pipeline
        self.configuration = configuration
        self.logger = logger
        let epoch = String(UInt64.random(in: .min ... .max), radix: 36)
        channels = Dictionary(
            uniqueKeysWithValues: DashboardWindow.allCases.map { ($0, StreamChannel(window: $0, epoch: epoch)) })
    }

    // MARK: requests

    /// `GET /v1/dashboard`.
    func dashboard(_ request: HTTPRequest) async throws -> HTTPResponse {
        let document = try await document(of: Self.window(of: request))
        return HTTPResponse(status: 200, headers: OrderReads.jsonHeaders, body: .bytes(document.json()))
    }

    /// `GET /v1/dashboard/stream`.
    func stream(_ request: HTTPRequest) async throws -> HTTPResponse {
        let channel = channel(try Self.window(of: request))
        // When the stream begins, there is a document to send.
        _ = try await document(of: channel.window)
        let position = channel.position(after: request.header("last-event-id"))
        let headers = [
            (name: "Content-Type", value: "text/event-stream"), (name: "Cache-Control", value: "no-store"),
            (name: "X-Accel-Buffering", value: "no"),
        ]
        return HTTPResponse(
            status: 200, headers: headers,
            body: .stream { writer in try await Self.serve(channel, from: position, to: writer) })
    }

    private static func window(of request: HTTPRequest) throws(Problem) -> DashboardWindow {
        var parameters = QueryParameters(request.query, names: ["window"])
        let window = parameters.choice("window", default: DashboardWindow.day)
        try parameters.check()
        return window
    }

    private static func serve(
        _ channel: StreamChannel, from start: Int64?, to writer: HTTPBodyWriter
    ) async throws {
        channel.follow()
        defer { channel.unfollow() }
        var position = start
        while true {
            switch await channel.next(after: position) {
            case .events(let chunks, let last):
                for chunk in chunks { try await writer.write(chunk) }
                position = last
            case .heartbeat:
                try await writer.write(ServerSentEvent.heartbeat)
            case .cancelled:
                return try await writer.write(ServerSentEvent.goodbye)
            }
        }
    }

    private func channel(_ window: DashboardWindow) -> StreamChannel {
        guard let channel = channels[window] else { preconditionFailure("every window has a channel") }
        return channel
    }

    /// The window's document. If the window is kept up to date, this is the current document, otherwise the next one.
    private func document(of window: DashboardWindow) async throws -> DashboardDocument {
        let channel = channel(window)
        let isFresh = channel.isWanted(within: Self.patience)
        channel.want()
        if isFresh && !pending.withLock({ $0.hasFailed }), let document = channel.document { return document }
        try await waitForTurn()
        try Task.checkCancellation()
        if pending.withLock({ $0.hasFailed }) { throw Problems.unavailable() }
        guard let document = channel.document else { throw Problems.unavailable() }
        return document
    }

    /// Returns when a turn that began after this call has ended.
    private func waitForTurn() async throws {
        let id = pending.withLock { pending in
            pending.lastID += 1
            return pending.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let sleeper: CheckedContinuation<Void, Never>? = pending.withLock { pending in
                    if Task.isCancelled { return continuation }
                    pending.continuations[id] = continuation
                    defer { pending.sleeper = nil }
                    return pending.sleeper
                }
                sleeper?.resume()
            }
        } onCancel: {
            pending.withLock { $0.continuations.removeValue(forKey: id) }?.resume()
        }
    }

    // MARK: the loop

    /// Computes until the task is cancelled.
    ///
    /// - Parameter onTurn: called after each turn, even if it failed.
    func run(onTurn: @escaping @Sendable () -> Void, onBeat: @escaping @Sendable () -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.compute(onTurn) }
            group.addTask { await self.beat(onBeat) }
        }
        let waiting = pending.withLock { pending in
            pending.hasFailed = true
            defer { pending.continuations.removeAll() }
            return Array(pending.continuations.values)
        }
        for continuation in waiting { continuation.resume() }
    }

    private func beat(_ onBeat: @Sendable () -> Void) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(configuration.heartbeatMs))
            for channel in channels.values { channel.beat() }
            onBeat()
        }
    }

    private func compute(_ onTurn: @Sendable () -> Void) async {
        var memory = Memory()
        while !Task.isCancelled {
            let start = ContinuousClock.now
            let waiting = pending.withLock { pending in
                defer { pending.continuations.removeAll() }
                return Array(pending.continuations.values)
            }
            let failure = await turn(&memory)
            let isNews = pending.withLock { pending in
                defer { pending.hasFailed = failure != nil }
                return pending.hasFailed != (failure != nil)
            }
            if isNews, let failure {
                logger.warning("cannot read the dashboard", metadata: ["error": "\(failure)"])
            }
            for continuation in waiting { continuation.resume() }
            onTurn()
            let pause = max(.milliseconds(configuration.updateIntervalMs), (ContinuousClock.now - start) * 4)
            await sleep(until: start + min(pause, .seconds(10)))
        }
        await memory.connection?.close()
    }

    /// The results of the last turns.
    private struct Memory {
        var connection: PostgresConnection?
        var progress: Int64?
        var shared: DashboardReader.Shared?
        var progressByWindow: [DashboardWindow: Int64] = [:]
        var pipeline = PipelineSnapshot()
        var pipelineAt: ContinuousClock.Instant?
    }

    /// - Returns: the reason why the turn failed; nil if it did not.
    private func turn(_ memory: inout Memory) async -> (any Error)? {
        let wanted = channels.values.filter { $0.isWanted(within: Self.patience) }
        if wanted.isEmpty { return nil }
        do {
            let reader = DashboardReader(
                connection: try await connection(&memory), timeoutMs: Self.timeoutMs)
            let progress = try await reader.progress()
            if progress != memory.progress || memory.shared == nil {
                memory.shared = try await reader.shared()
                memory.progress = progress
            }
            if memory.pipelineAt.map({ .now - $0 >= .milliseconds(configuration.pipelineIntervalMs) }) ?? true {
                memory.pipeline = pipeline.snapshot
                memory.pipelineAt = .now
            }
            for channel in wanted { try await update(channel, reader, progress, &memory) }
            return nil
        } catch {
            // If the cause is a view that was just replaced, the next turn can read the new one.
            memory.progress = nil
            return error
        }
    }

    private func connection(_ memory: inout Memory) async throws(PostgresError) -> PostgresConnection {
        if let connection = memory.connection {
            if await connection.isAlive() { return connection }
            await connection.close()
            memory.connection = nil
        }
        let connection = try await PostgresConnection.connect(postgres)
        memory.connection = connection
        return connection
    }

    private func update(
        _ channel: StreamChannel, _ reader: DashboardReader, _ progress: Int64, _ memory: inout Memory
    ) async throws(PostgresError) {
        let now = Timestamp.now
        var document = DashboardDocument(window: channel.window, at: now)
        let before = channel.document
        if let before, before.to == document.to, memory.progressByWindow[channel.window] == progress {
            for section in DashboardSection.allCases { document[section] = before[section] }
        } else {
            try await reader.fill(&document)
            memory.progressByWindow[channel.window] = progress
        }
        if let shared = memory.shared {
            document[.statuses] = shared.statuses
            document[.latestOrders] = shared.latestOrders
        }
        document.asOf = memory.pipeline.asOf
        document[.pipeline] = memory.pipeline.json
        channel.publish(document)
    }

    /// Sleeps until the next turn is due, or until a request needs a window that is not computed.
    private func sleep(until deadline: ContinuousClock.Instant) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }
            group.addTask { await self.waitForRequest() }
            await group.next()
            group.cancelAll()
        }
    }

    private func waitForRequest() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isWanted = pending.withLock { pending in
                    if !pending.continuations.isEmpty || Task.isCancelled { return true }
                    pending.sleeper = continuation
                    return false
                }
                if isWanted { continuation.resume() }
            }
        } onCancel: {
            let sleeper = pending.withLock { pending in
                defer { pending.sleeper = nil }
                return pending.sleeper
            }
            sleeper?.resume()
        }
    }
}

/// The intervals of computing and sending dashboards.
struct DashboardHubConfiguration: Sendable {
    /// Minimum time between two checks for changes, in milliseconds.
    var updateIntervalMs = 500
    /// Minimum time between two updates of the pipeline's health, in milliseconds.
    var pipelineIntervalMs = 1_000
    /// Time without an event after which a stream sends a heartbeat, in milliseconds.
    var heartbeatMs = 10_000
}
