public import Daemon
internal import Kafka
internal import Logging
internal import Metrics
internal import Operations
public import Postgres
internal import Projections
internal import ReadModels
internal import StreamCore

/// A daemon's work for one read model: keeps the version that the database says, and goes over to another one when that
/// becomes live, or stops reading while an operator has paused the consumer.
public struct VersionedDaemon: Sendable {
    /// What runs beside the projection of a version, with a database that sees its schema first.
    public typealias Companion = @Sendable (PostgresConfiguration) async throws -> Void

    /// What is done in the database about a version that the daemon itself makes and checks. Failures that pass are
    /// tried again.
    public struct Preparation: Sendable {
        fileprivate let make: @Sendable () async throws -> Void
        fileprivate let check: @Sendable () async throws -> Void

        /// - Parameters:
        ///   - make: makes the version, or finds that somebody else has.
        ///   - check: throws when the version is not the daemon's own; called before it is kept.
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

    /// The time between two looks at the table of versions.
    private static var interval: Duration { .seconds(1) }

    /// - Parameter companion: ends only when its task is cancelled.
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

    /// The daemon of the one version of a model that it makes itself.
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

    /// Works until the task is cancelled.
    ///
    /// - Throws: as `ProjectionRunner.run()` does; `PostgresError` when the versions cannot be read at the start.
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
                // The work ends by itself only when the task is cancelled, or going on makes no sense.
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

    /// Waits until the database says something else than what the follower acts upon. While it does not answer, what
    /// is done is gone on with.
    ///
    /// - Returns: nil when the task was cancelled.
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
                        "the table of versions cannot be read; going on with what is done",
                        metadata: ["error": "\(error)"])
                }
                // Cut short by the cancellation, which ends the loop.
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
                "making a version", metadata: ["projection": "\(projection.model.name)", "version": "\(version)"])
            // The table of versions says what comes next.
            if try await patiently(preparation?.make) { await untilCancelled() }
        case .keep(let version, let schema, let isBuilding, let recordsPerSecond):
            guard try await patiently(preparation?.check) else { return }
            try await keep(version, schema, isBuilding, recordsPerSecond)
        case .paused(let pause):
            paused.record(1)
            context.logger.notice(
                "the consumer is paused; `millrace resume` lets it go on",
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

    /// Several versions of a read model can be work of one daemon.
    private var ownVersion: String {
        if case .own(let number) = wish { " (\(number))" } else { "" }
    }

    /// Tries again what fails because a server is away.
    ///
    /// - Returns: false when the task was cancelled.
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
                // Cut short by the cancellation, which the next try meets.
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
        // Ends with the cancellation alone.
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
            // The companion ends only when it is told to; the runner also by itself, when going on makes no sense.
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
