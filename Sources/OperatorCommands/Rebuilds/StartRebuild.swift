internal import ArgumentParser
internal import CommandSupport
internal import Kafka
internal import Logging
internal import Postgres
internal import ProjectionPrograms
internal import Projections
internal import ReadModels
internal import StreamCore
internal import Synchronization
internal import Tail

/// `millrace rebuild start`.
struct StartRebuild: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Creates the next version of a read model and fills it from the beginning of the topics.",
        discussion: """
            The command keeps the version current until it is promoted or aborted. Ctrl-C stops the command; the same \
            command then continues where it stopped. Several of these commands may run, also on several machines. With \
            --prepare the command only creates the version. Daemons then fill it, if they are started with \
            projection.version set to its number, or with the folder of a projection in SQL.

            If an event cannot be applied, the command ends and names the event. It leaves out events that an operator \
            has discarded, and uses the corrected values of edited events.

            The command refuses to begin if Kafka no longer has the beginning of a topic, unless --from is given.

            \(RebuildCommand.exitCodes)
            """)

    @OptionGroup var options: RebuildOptions
    @OptionGroup var kafka: KafkaOptions

    @Option(
        parsing: .unconditional,
        help: "Suffix of the events' topics, as the relay's setting topic_suffix.")
    var topicSuffix = "-events"

    @Option(
        help: ArgumentHelp(
            """
            Where to begin: beginning; oldest, the oldest record that Kafka has; a time such as 2026-03-01T12:00:00Z or \
            7d (ago); or topic:partition:offset, which may be repeated.
            """, valueName: "place"))
    var from: [String] = []

    @Option(help: ArgumentHelp("Maximum number of records a second in all partitions together.", valueName: "n"))
    var maxRate: Int?

    @Option(help: "Number of readers that share the partitions. Each has its own connection.")
    var workers = 2

    @Option(
        help: ArgumentHelp(
            "Rebuilds only this order, in the live version.", valueName: "id"))
    var aggregate: String?

    @Flag(help: "Only creates the version, and does not fill it.")
    var prepare = false

    @Flag(
        help: """
            Ends when the version has applied all records that existed at the start and all that the live version has \
            applied.
            """)
    var untilCaughtUp = false

    func validate() throws {
        if aggregate != nil, prepare || untilCaughtUp || maxRate != nil {
            throw ValidationError("--aggregate can be combined only with --from.")
        }
        guard (1...64).contains(workers) else { throw ValidationError("--workers must be 1 to 64.") }
        guard (1...10_000_000).contains(maxRate ?? 1) else {
            throw ValidationError("--max-rate must be 1 to 10000000.")
        }
        _ = try RebuildPlace.start(from, now: .now)
    }

    func run() async throws {
        let target = try await options.resolvedWithFiles()
        guard let projection = target.projection else {
            throw CommandFailure(
                "\(target.model.name) is a projection in SQL: give the folder of its next version, --projection DIR",
                .failure)
        }
        let postgres = target.postgres
        let kafka = try kafka.configuration(clientID: "millrace-rebuild")
        var reading = Rebuild.Reading(topics: projection.topics(suffix: topicSuffix))
        reading.start = try RebuildPlace.start(from, now: .now)
        reading.isPlain = from.isEmpty
        reading.recordsPerSecond = maxRate
        if let aggregate { return try await renew(aggregate, projection, postgres, kafka, reading) }
        let version = try await Rebuild(projection.model, postgres).start(reading, kafka: kafka)
        StandardError.write("millrace: building \(version) in schema \(version.schema)\n")
        if prepare {
            return print(
                target.version == nil
                    ? "fill it with \(version.name)'s daemon and --set projection.version=\(version.version)"
                    : "fill it with sql-projection and this folder")
        }
        var settings = RebuildRun.Options()
        settings.workers = workers
        settings.topicSuffix = topicSuffix
        settings.endsWhenCaughtUp = untilCaughtUp
        let run = RebuildRun(
            projection, postgres: postgres, kafka: kafka,
            logger: Logger(label: "millrace.rebuild") { _ in SwiftLogNoOpLogHandler() }, options: settings)
        try finish(try await withBar(run, version), version)
    }

    private func renew(
        _ aggregate: String, _ projection: VersionedProjection, _ postgres: PostgresConfiguration,
        _ kafka: KafkaClientConfiguration, _ reading: Rebuild.Reading
    ) async throws {
        let rebuild = Rebuild(projection.model, postgres)
        guard let live = try await rebuild.policy().live else {
            throw CommandFailure("no version of \(projection.model.name) is live", .failure)
        }
        let starts = try await rebuild.starts(of: live, reading, kafka: kafka)
        let run = VersionedProjection.Run(
            version: live.version, topicSuffix: topicSuffix,
            configuration: ProjectionRunnerConfiguration(service: ""),
            postgres: projection.model.tables.sees(postgres, live.schema), kafka: kafka,
            logger: Logger(label: "millrace.rebuild") { _ in SwiftLogNoOpLogHandler() })
        let count = try await projection.rebuild(aggregate, from: starts, run)
        print("rebuilt \(aggregate) from \(count) events in \(live)")
        if count == 0 { throw ExitCode.nothingMatched }
    }

    private func withBar(_ run: RebuildRun, _ version: ModelVersion) async throws -> RebuildRun.End? {
        let bar = SharedBar()
        let (stops, stop) = AsyncStream.makeStream(of: Void.self)
        defer { bar.clear() }
        return try await StopSignals.run(onStop: { stop.yield() }) {
            try await withThrowingTaskGroup(of: RebuildRun.End?.self) { group in
                group.addTask { try await run.run(version) { bar.show($0) } }
                group.addTask {
                    for await _ in stops { break }
                    return nil
                }
                defer { group.cancelAll() }
                guard let end = try await group.next() else { return nil }
                group.cancelAll()
                try await group.waitForAll()
                return end
            }
        }
    }

    private func finish(_ end: RebuildRun.End?, _ version: ModelVersion) throws {
        switch end {
        case .caughtUp: print("\(version) has caught up; next: millrace rebuild promote \(options.arguments)")
        case .promoted: print("\(version) is live; its daemons now maintain it")
        case .aborted: throw CommandFailure("\(version) was aborted", .failure)
        case nil: print("stopped; run the same command again to continue")
        }
    }
}

/// A progress bar that several tasks share.
private final class SharedBar: Sendable {
    private let bar = Mutex(RebuildBar())

    func show(_ progress: RebuildProgress) { bar.withLock { $0.show(progress) } }
    func clear() { bar.withLock { $0.clear() } }
}

/// Reads `--from`.
enum RebuildPlace {
    static func start(_ texts: [String], now: Timestamp) throws -> RebuildStart {
        guard let first = texts.first else { return .beginning }
        if texts.count == 1, !first.contains(":") || Timestamp(first) != nil {
            switch first {
            case "beginning": return .beginning
            case "oldest": return .oldest
            default:
                guard case .time(let milliseconds)? = try? TailPoint(parsing: first, now: now) else {
                    throw problem(first)
                }
                return .time(milliseconds)
            }
        }
        var offsets: [TopicPartition: Int64] = [:]
        for text in texts {
            let parts = text.split(separator: ":")
            guard parts.count == 3, let partition = Int32(parts[1]), partition >= 0, let offset = Int64(parts[2]),
                offset >= 0
            else { throw problem(text) }
            offsets[TopicPartition(topic: String(parts[0]), partition: partition)] = offset
        }
        return .offsets(offsets)
    }

    private static func problem(_ text: String) -> ValidationError {
        ValidationError(
            "--from \(text): give beginning, oldest, a time (2026-03-01T12:00:00Z, 7d) or topic:partition:offset.")
    }
}
