public import Daemon
internal import Kafka
internal import Logging
internal import Metrics
internal import Operations
public import Postgres
internal import Projections
internal import ReadModels
internal import StreamCore

/// Runs one read model in a daemon. It maintains the version that the database specifies, switches when another version
/// becomes live, and stops reading while an operator has paused the consumer.
public struct VersionedDaemon: Sendable {
    /// A task that runs together with the projection of a version. Its database sessions use the version's schema
    /// first.
    public typealias Companion = @Sendable (PostgresConfiguration) async throws -> Void

    /// The preparation of a version that the daemon itself creates and checks. Temporary failures are retried.
    public struct Preparation: Sendable {
        fileprivate let make: @Sendable () async throws -> Void
        fileprivate let check: @Sendable () async throws -> Void

        /// - Parameters:
        ///   - make: creates the version, or finds that another process has created it.
        ///   - check: throws if the version was created with other files. Called before the version is maintained.
        public init(
            make: @escaping @Sendable () async throws -> Void, check: @escaping @Sendable () async throws -> Void
        ) {
            self.make = make
            self.check = check
        }
    }

    private let projection: VersionedProjection
    private let settings: ProjectionSettings
    private let wish: VersionFollower.Wish
    private let preparation: Preparation?
    private let context: DaemonContext
    private let companion: Companion?

    /// Time between two reads of the table of versions.
    private static var interval: Duration { .seconds(1) }

    /// - Parameter companion: must run until its task is cancelled.
    public init(
        _ projection: VersionedProjection, _ settings: ProjectionSettings, in context: DaemonContext,
        companion: Companion? = nil
    ) {
        self.projection = projection
        self.settings = settings
        self.context = context
        self.companion = companion
        wish = settings.wish
        preparation = nil
    }

    /// Creates the daemon of a model whose only version it creates itself.
    public init(
        _ projection: VersionedProjection, version: Int, _ settings: ProjectionSettings, in context: DaemonContext,
        preparation: Preparation
    ) {
        self.projection = projection
        self.settings = settings
        self.context = context
        companion = nil
        wish = .own(version)
        self.preparation = preparation
    }

    /// Runs until the task is cancelled.
    ///
    /// - Throws: the errors of `ProjectionRunner.run()`; `PostgresError` if the versions cannot be read at the start.
    public func run() async throws {
        var follower = VersionFollower(projection.model, wish)
        var facts: VersionFollower.Facts? = try await firstFacts()
        while let known = facts {
            guard let work = follower.handle(known) else { return }
            let current = follower
            facts = try await withThrowingTaskGroup(of: VersionFollower.Facts?.self) { group in
                group.addTask {
                    try await carryOut(work)
                    return nil
                }
                group.addTask { await change(for: current) }
                defer { group.cancelAll() }
                // The work ends only if the task is cancelled or continuing makes no sense.
                guard let changed = try await group.next() else { return nil }
                group.cancelAll()
                try await group.waitForAll()
                return changed
            }
        }
    }

    // MARK: what the database says

    private func firstFacts() async throws -> VersionFollower.Facts {
        var backoff = Backoff(initial: .milliseconds(200), ceiling: .seconds(5))
        while true {
            do {
                return try await PostgresConnection.with(context.postgres) { try await read($0) }
            } catch let error as PostgresError where error.kind == .transient {
                try await Task.sleep(for: backoff.next())
            }
        }
    }

    private func read(_ connection: PostgresConnection) async throws(PostgresError) -> VersionFollower.Facts {
        try await VersionFollower.Facts.read(of: projection.model.name, on: connection)
    }

    /// Waits until the database specifies another state than the current one. While the database does not answer, the
    /// current work continues.
    ///
    /// - Returns: nil if the task was cancelled.
    private func change(for follower: VersionFollower) async -> VersionFollower.Facts? {
        let loop = context.health.watch(
            .loop, "version loop of \(projection.model.name)\(ownVersion)", limit: context.stallAfter + Self.interval)
        loop.turned(to: .working)
        defer { loop.end() }
        var lines = RareLines()
        while !Task.isCancelled {
            do {
                return try await PostgresConnection.with(context.postgres) { connection in
                    while true {
                        let facts = try await read(connection)
                        var next = follower
                        if next.handle(facts) != nil { return facts }
                        loop.progressed()
                        try await Task.sleep(for: Self.interval)
                    }
                }
            } catch {
                if Task.isCancelled { return nil }
                loop.progressed()
                if lines.isDue("versions", .now) {
                    context.logger.warning(
                        "the table of versions cannot be read; continuing with the known versions",
                        metadata: ["error": "\(error)"])
                }
                // A cancellation ends the wait early, and then the loop.
                try? await Task.sleep(for: Self.interval)
            }
        }
        return nil
    }

    // MARK: what is done

    private func carryOut(_ work: VersionFollower.Work) async throws {
        let paused = Gauge(label: "millrace_projection_paused", dimensions: [("projection", projection.model.name)])
        paused.record(0)
        switch work {
        case .make(let version):
            context.logger.notice(
                "creating a version", metadata: ["projection": "\(projection.model.name)", "version": "\(version)"])
            // The next state comes from the table of versions.
            if try await patiently(preparation?.make) { await untilCancelled() }
        case .keep(let version, let schema, let isBuilding, let recordsPerSecond):
            guard try await patiently(preparation?.check) else { return }
            try await keep(version, schema, isBuilding, recordsPerSecond)
        case .paused(let pause):
            paused.record(1)
            context.logger.notice(
                "the consumer is paused; `millrace resume` continues it",
                metadata: [
                    "projection": "\(pause.consumer)", "by": "\(pause.by)", "reason": "\(pause.reason)",
                    "since": "\(pause.since)",
                ])
            await untilCancelled()
        case .wait(let reason):
            let condition = "version of \(projection.model.name)\(ownVersion)"
            context.health.notReady(condition, because: reason)
            context.logger.warning(
                "nothing is projected", metadata: ["projection": "\(projection.model.name)", "reason": "\(reason)"])
            await untilCancelled()
            context.health.forget(condition)
        }
    }

    /// A daemon may maintain several versions of a read model.
    private var ownVersion: String {
        if case .own(let number) = wish { " (\(number))" } else { "" }
    }

    /// Repeats `body` while a server is unavailable.
    ///
    /// - Returns: false if the task was cancelled.
    private func patiently(_ body: (@Sendable () async throws -> Void)?) async throws -> Bool {
        guard let body else { return true }
        var backoff = Backoff(initial: .milliseconds(200), ceiling: .seconds(5))
        while true {
            do {
                try await body()
                return !Task.isCancelled
            } catch {
                if Task.isCancelled { return false }
                guard Self.passes(error) else { throw error }
                context.logger.warning(
                    "a version cannot be prepared yet",
                    metadata: ["projection": "\(projection.model.name)", "error": "\(error)"])
                // A cancellation ends the wait early, and the next attempt detects it.
                try? await Task.sleep(for: backoff.next())
            }
        }
    }

    private static func passes(_ error: any Error) -> Bool {
        switch error {
        case let error as PostgresError: error.kind == .transient
        case let error as TransactionError: error.kind == .transient
        case let error as KafkaError: error.isRetriable
        default: false
        }
    }

    private func untilCancelled() async {
        context.started()
        // Ends only with a cancellation.
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
    }

    private func keep(_ version: Int, _ schema: String, _ isBuilding: Bool, _ recordsPerSecond: Int?) async throws {
        let health = ProjectionHealth(context, projection: projection.model.name + ownVersion)
        defer { health.ended() }
        var run = VersionedProjection.Run(
            version: version, topicSuffix: settings.topicSuffix, configuration: settings.configuration,
            postgres: projection.model.tables.sees(context.postgres, schema), kafka: context.kafka,
            logger: context.logger, observer: health)
        if isBuilding { run.configuration.onFailure = .stop }
        run.configuration.pace = recordsPerSecond.map { RecordPace(perSecond: $0) }
        guard let companion else { return try await projection.run(run) }
        let work = run
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await projection.run(work) }
            group.addTask { try await companion(work.postgres) }
            defer { group.cancelAll() }
            // The companion ends only when it is cancelled. The runner also ends if continuing makes no sense.
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
