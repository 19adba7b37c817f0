internal import CommandPrograms
internal import Commands
public import Daemon
internal import HTTP
internal import HTTPPrograms
internal import Operations
internal import Postgres
internal import ServiceLifecycle
public import Settings

/// The daemon `command-service`.
public enum CommandServiceProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let http: HTTPSettings
        let commands: CommandSettings

        public init(from reader: SettingsReader) {
            http = HTTPSettings(from: reader, for: .commands, port: 8_090)
            commands = CommandSettings(from: reader)
        }

        public static var reloadableKeys: [String] { HTTPSettings.reloadableKeys }

        public func adopt(_ reloaded: Self) { http.adopt(reloaded.http) }
    }

    public static let name = "command-service"
    public static let abstract = "Accepts commands over HTTP, and commits each change together with its events."
    public static let operationsPort = 9_407
    public static let isOptional = true
    public static let needsKafka = false
    public static let metricHelp = CommandMetrics.help

    public static func migrationSets(for feature: Feature) -> [String] {
        var seen: Set<String> = []
        return feature.commands.domains.flatMap(\.migrationSets).filter { seen.insert($0).inserted }
    }

    /// It need not take the commands of all domains.
    public static func canUse(migrationSets sets: Set<String>) -> Bool { sets.isSuperset(of: ["outbox", "commands"]) }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        let domains = feature.commands.domains
        let bus = try CommandBus(
            feature.commands.bus, postgres: context.postgres, domains: domains, readModels: InlineFolders(),
            logger: context.logger)
        let document = OpenAPIPart.document(title: "Millrace command service", of: domains.map(\.openAPI))
        let description = HTTPRoute("/openapi.json", isPublic: true) { _ in
            HTTPResponse(headers: [("Content-Type", "application/json")], body: .bytes(document))
        }
        let routes = domains.flatMap { $0.routes(bus, name) }.compactMap { HTTPRoute($0) }
        let work = CommandBusService(bus, context, workers: feature.commands.bus.connections)
        try await HTTPServer.watched(
            feature.http.configuration, routes: HTTPRoutes(routes + [description]), in: context
        )
        .serve(before: work)
    }
}

/// Runs the command bus. Before it stops, the bus executes the commands that wait.
private struct CommandBusService: Service {
    private static let database = "writes"
    private static let interval = Duration.seconds(5)

    private let bus: CommandBus
    private let health: HealthRegistry
    private let started: @Sendable () -> Void
    private let workers: [WatchHandle]

    init(_ bus: CommandBus, _ context: DaemonContext, workers count: Int) {
        self.bus = bus
        health = context.health
        started = context.started
        workers = (0..<count).map {
            context.health.watch(.loop, "command worker \($0)", limit: context.stallAfter)
        }
        health.notReady(Self.database, because: "the database was not reached yet")
    }

    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await askDatabase() }
            await withGracefulShutdownHandler {
                await bus.run { worker, activity in
                    started()
                    workers[worker].turned(to: activity == .idle ? .idle : .working)
                    workers[worker].progressed()
                }
            } onGracefulShutdown: {
                bus.stop()
            }
            group.cancelAll()
        }
    }

    /// Checks the database through the bus, in the same way as commands use it.
    private func askDatabase() async {
        while !Task.isCancelled {
            do throws(CommandFailure) {
                _ = try await bus.query([("SELECT 1", Parameters())])
                health.ready(Self.database)
            } catch {
                health.notReady(Self.database, because: CommandProblem(error).title)
            }
            // A stop ends the wait early. The loop then checks for it.
            try? await Task.sleep(for: Self.interval)
        }
    }
}
