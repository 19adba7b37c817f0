internal import ArgumentParser
internal import CommandSupport
internal import Foundation
internal import Kafka
internal import Logging
internal import OrderShop
internal import Postgres
internal import SQLProjections
internal import Synchronization
internal import Verification

/// One run of `millrace dev`, which begins with an empty folder or the data of the last run.
struct DevSession {
    struct Plan {
        /// The folder of all state.
        var folder: String
        /// The load of orders; nil for none.
        var load: ShopLoad.Configuration?
        /// The additional load of the bank; nil for none.
        var bank: BankLoad.Configuration?
        var duration: Duration?
        var verifies = false
        var partitions: Int32 = 12
        /// Whether to run a private broker if the environment specifies no cluster.
        var usesBroker = false
        /// Whether to delete the offsets of another cluster in a database that is not private.
        var resetsOffsets = false
        /// Folders of SQL projections that run too.
        var projections: [ProjectionFolder] = []
    }

    /// The reason why a session ends.
    private enum End: Equatable {
        case signal
        case durationOver
        case loadOver
    }

    private let plan: Plan
    private let start = ContinuousClock.now

    /// Maximum time that `--verify` waits for the projection.
    private static let verificationPatience: Duration = .seconds(120)

    init(_ plan: Plan) {
        self.plan = plan
    }

    func run() async throws {
        let stop = StopRequest()
        try await StopSignals.run(onStop: { stop.request() }) {
            let folder = try DevFolder(path: plan.folder)
            Self.say("starting in \(folder.path)")
            let kafka = try await DevKafka.start(
                plan.projections, more: plan.load?.playsCatalogue == true ? ShopLoad.catalogueTopics : [],
                partitions: plan.partitions, usesBroker: plan.usesBroker, in: folder, until: stop)
            do {
                try await serve(folder, kafka, until: stop)
            } catch {
                await kafka.stop()
                throw error
            }
            await kafka.stop()
            Self.say("stopped")
        }
    }

    private func serve(_ folder: DevFolder, _ kafka: DevKafka, until stop: StopRequest) async throws {
        let database = try await DevDatabase.start(in: folder)
        do {
            try await serve(folder, kafka, database, until: stop)
        } catch {
            await close(folder, database)
            throw error
        }
        await close(folder, database)
    }

    private func close(_ folder: DevFolder, _ database: DevDatabase) async {
        Endpoints.remove(folder: folder.path)
        await database.stop()
    }

    private func serve(
        _ folder: DevFolder, _ kafka: DevKafka, _ database: DevDatabase, until stop: StopRequest
    ) async throws {
        let applied = try await database.migrate()
        if applied > 0 { Self.say("applied \(applied) migrations") }
        if kafka.isMock || folder.lastCluster ?? kafka.cluster != kafka.cluster {
            try folder.remember(hasIncompleteHistory: try await database.hasOrders())
            let again = try await database.forgetCluster(isAllowed: database.isPrivate || plan.resetsOffsets)
            if again > 0 {
                Self.say(
                    "the cluster of the last run no longer exists: the relay publishes \(again) events of the outbox again"
                )
            }
        }
        try folder.remember(cluster: kafka.cluster)
        let daemons = try DevDaemons(plan.projections, folder: folder, kafka: kafka, database: database)
        try Endpoints.write(
            [
                ("DATABASE_URL", database.url), ("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrapServers),
                ("QUERY_SERVICE_URL", daemons.queryURL), ("COMMAND_SERVICE_URL", daemons.commandURL),
            ] + (folder.hasIncompleteHistory ? [(Endpoints.incompleteHistoryName, "1")] : []),
            folder: folder.path)
        print(daemons.guide(database: database, kafka: kafka))
        StandardOutput.flush()
        try await play(daemons.supervisors, folder, kafka, database, until: stop)
    }

    /// Runs the daemons, the load and the status line until the session ends. Then it verifies the read models if
    /// requested, while the daemons still run. In all cases it stops the daemons and waits for their end.
    private func play(
        _ supervisors: [DaemonSupervisor], _ folder: DevFolder, _ kafka: DevKafka, _ database: DevDatabase,
        until stop: StopRequest
    ) async throws {
        let load = try plan.load.map { configuration in
            let trouble = RareNotice()
            return ShopLoad(
                configuration, database: try database.configuration(applicationName: "millrace-load"),
                onTrouble: { trouble.say("the load had a database error; trying again: \($0)") })
        }
        let bank = try plan.bank.map { configuration in
            try BankLoad(
                configuration, database: try database.configuration(applicationName: "millrace-load"),
                logger: Logger(label: "millrace.load") { _ in SwiftLogNoOpLogHandler() })
        }
        let display = StatusDisplay()
        try await withThrowingTaskGroup(of: End?.self) { group in
            for supervisor in supervisors {
                group.addTask {
                    try await supervisor.run { display.announce($0) }
                    return nil
                }
            }
            if let load {
                group.addTask {
                    do {
                        try await load.run()
                    } catch {
                        guard Task.isCancelled else { throw error }
                        return nil
                    }
                    return .loadOver
                }
            }
            if let bank {
                group.addTask {
                    await bank.run()
                    return nil
                }
            }
            let start = start
            let statistics = try DevStatistics(
                database: database.configuration(applicationName: "millrace-dev"),
                kafka: KafkaClientConfiguration(bootstrapServers: kafka.bootstrapServers, clientID: "millrace-dev"),
                folders: plan.projections, prunesOutbox: kafka.isMock)
            group.addTask {
                await Self.showStatus(on: display, statistics, load, supervisors, since: start)
                return nil
            }
            group.addTask {
                await stop.wait()
                return .signal
            }
            if let duration = plan.duration {
                group.addTask {
                    try? await Task.sleep(for: duration)
                    return Task.isCancelled ? nil : .durationOver
                }
            }
            let end = try await Self.firstEnd(&group)
            load?.stop()
            bank?.stop()
            if plan.verifies, end != .signal {
                if let load, end != .loadOver { try await Self.wait(for: load, &group) }
                try await verify(folder, kafka, database, display)
            }
            display.announce(end == .signal ? "stopping" : "done, stopping")
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private static func firstEnd(_ group: inout ThrowingTaskGroup<End?, any Error>) async throws -> End {
        while let finished = try await group.next() {
            if let end = finished { return end }
        }
        return .signal
    }

    /// Waits until the load has written its current transactions.
    private static func wait(for load: ShopLoad, _ group: inout ThrowingTaskGroup<End?, any Error>) async throws {
        while let finished = try await group.next() {
            if finished == .loadOver || finished == .signal { return }
        }
    }

    private func verify(
        _ folder: DevFolder, _ kafka: DevKafka, _ database: DevDatabase, _ display: StatusDisplay
    ) async throws {
        display.announce("verifying: waiting for the projections, then comparing all rows")
        let tables = try database.configuration(applicationName: "millrace-verify")
        var configuration = VerificationConfiguration(
            writeModel: tables, readModel: tables,
            kafka: KafkaClientConfiguration(bootstrapServers: kafka.bootstrapServers, clientID: "millrace-verify"))
        configuration.incompleteHistory = folder.hasIncompleteHistory ? Endpoints.incompleteHistory : nil
        var verdict = try await Verification(configuration).run(waitingUpTo: Self.verificationPatience)
        if let kafka = configuration.kafka {
            let folders = FolderVerification(
                readModel: tables, kafka: kafka, incompleteHistory: configuration.incompleteHistory)
            verdict = verdict.with(try await folders.comparisons(of: .registered))
        }
        let report = VerificationReport(verdict)
        display.announce(report.text)
        if let code = report.exitCode { throw VerificationFailed(exitCode: code) }
    }

    // MARK: output

    private static func showStatus(
        on display: StatusDisplay, _ statistics: DevStatistics, _ load: ShopLoad?,
        _ supervisors: [DaemonSupervisor], since start: ContinuousClock.Instant
    ) async {
        var statistics = statistics
        var line = StatusLine()
        var next = ContinuousClock.now
        while !Task.isCancelled {
            next = max(next + .seconds(1), .now)
            try? await Task.sleep(until: next, clock: .continuous)
            if Task.isCancelled { break }
            let snapshot = try? await statistics.snapshot()
            if Task.isCancelled { break }
            display.show(
                line.text(
                    snapshot, totals: load?.totals, restarts: supervisors.reduce(0) { $0 + $1.restarts },
                    seconds: (ContinuousClock.now - start) / .seconds(1)))
        }
        await statistics.close()
    }

    private static func say(_ text: String) {
        print("millrace dev: \(text)")
        StandardOutput.flush()
    }
}

/// `--verify` found and printed differences, or could not compare.
struct VerificationFailed: Error {
    let exitCode: ExitCode
}

/// A request to end the session.
final class StopRequest: Sendable {
    private let requested = Atomic(false)
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether the end is requested.
    var isRequested: Bool { requested.load(ordering: .relaxed) }

    func request() {
        requested.store(true, ordering: .relaxed)
        continuation.yield()
    }

    /// Returns when the end is requested, or the task is cancelled.
    func wait() async {
        for await _ in stream { return }
    }
}

/// The status line of a terminal, which is rewritten in place, with messages above it. On other outputs it prints plain
/// lines.
final class StatusDisplay: Sendable {
    private let isTerminal = StandardOutput.isTerminal
    private let hasLine = Mutex(false)

    func show(_ line: String) {
        hasLine.withLock { hasLine in
            print(isTerminal ? "\r\u{1B}[K\(line)" : line, terminator: isTerminal ? "" : "\n")
            hasLine = isTerminal
            StandardOutput.flush()
        }
    }

    func announce(_ text: String) {
        hasLine.withLock { hasLine in
            print(hasLine ? "\r\u{1B}[K\(text)" : text)
            hasLine = false
            StandardOutput.flush()
        }
    }
}
