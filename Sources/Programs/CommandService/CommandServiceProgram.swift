internal import Commands
public import Daemon
internal import HTTP
internal import HTTPPrograms
internal import Operations
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
    }

    public static let name = "command-service"
    public static let abstract = "Takes commands over HTTP, and commits each change with its events."
    public static let operationsPort = 9_407
    public static let isOptional = true
    public static let metricHelp = CommandMetrics.help

    public static func migrationSets(for feature: Feature) -> [String] {
        var seen: Set<String> = []
        return feature.commands.domains.flatMap(\.migrationSets).filter { seen.insert($0).inserted }
    }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        let domains = feature.commands.domains
        let bus = try CommandBus(
            feature.commands.bus, postgres: context.postgres, commands: domains.flatMap(\.commands),
            handlers: domains.flatMap(\.handlers), repositories: domains.map(\.repository), logger: context.logger)
        let document = OpenAPIPart.document(title: "Millrace command service", of: domains.map(\.openAPI))
        let description = HTTPRoute("/openapi.json", isPublic: true) { _ in
            HTTPResponse(headers: [("Content-Type", "application/json")], body: .bytes(document))
        }
        let routes = domains.flatMap { $0.routes(bus, name) }.compactMap { HTTPRoute($0) }
        let server = HTTPServer(
            configuration: feature.http.configuration, routes: routes + [description], logger: context.logger)
        try await server.serve(before: CommandBusService(bus, context, workers: feature.commands.bus.connections))
    }
}

/// The bus, which carries out what waits before it stops.
private struct CommandBusService: Service {
    private let bus: CommandBus
    private let started: @Sendable () -> Void
    private let watches: [WatchHandle]

    init(_ bus: CommandBus, _ context: DaemonContext, workers: Int) {
        self.bus = bus
        started = context.started
        watches = (0..<workers).map {
            context.health.watch(.loop, "command worker \($0)", limit: context.stallAfter)
        }
    }

    func run() async {
        await withGracefulShutdownHandler {
            await bus.run { worker, activity in
                started()
                watches[worker].turned(to: activity == .idle ? .idle : .working)
                watches[worker].progressed()
            }
        } onGracefulShutdown: {
            bus.stop()
        }
    }
}
