internal import Blocking
internal import Catalog
internal import CommandSupport
internal import Foundation
internal import SQLProjections

/// The daemons of `millrace dev`, with their configuration files and supervisors.
struct DevDaemons {
    let supervisors: [DaemonSupervisor]
    private let folder: DevFolder
    private let ports: [(daemon: String, port: Int)]

    /// The URL of the query service and its page.
    let queryURL: String
    /// The URL of the command service.
    let commandURL: String

    /// The default ports of the services, used if they are free.
    private static let (queryPort, commandPort) = (8_080, 8_090)

    /// Writes the configuration files and finds the programs, which are in the folder of this program.
    ///
    /// - Parameter projections: folders of SQL projections to run too.
    /// - Throws: ``CommandFailure`` if a program does not exist.
    init(
        _ projections: [ProjectionFolder], folder: DevFolder, kafka: DevKafka, database: DevDatabase
    ) throws {
        self.folder = folder
        var supervisors: [DaemonSupervisor] = []
        var ports: [(daemon: String, port: Int)] = []
        let queryPort = try LoopbackPort.findFree(preferring: Self.queryPort)
        let commandPort = try LoopbackPort.findFree(preferring: Self.commandPort)
        queryURL = "http://127.0.0.1:\(queryPort)"
        commandURL = "http://127.0.0.1:\(commandPort)"
        for daemon in Catalog.daemons
        where daemon.worksByDefault || (daemon.sections.contains("sql_projections") && !projections.isEmpty) {
            let name = daemon.name
            let port = try LoopbackPort.findFree()
            let file = folder.configurationFile(of: name)
            let text = DaemonConfigurationFile(
                databaseURL: database.url, bootstrapServers: kafka.bootstrapServers, isMock: kafka.isMock, port: port,
                httpPorts: (queries: queryPort, commands: commandPort),
                projections: projections.map(\.path)
            ).text(for: daemon)
            try Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
            supervisors.append(
                DaemonSupervisor(
                    name: name, command: [try Self.program(name), "--config", file],
                    logFile: folder.logFile(of: name)))
            ports.append((name, port))
        }
        self.supervisors = supervisors
        self.ports = ports
    }

    private static func program(_ name: String) throws -> String {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let own = link ?? CommandLine.arguments[0]
        let beside = URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent(name).path
        guard FileManager.default.isExecutableFile(atPath: beside) else {
            throw CommandFailure("\(beside) does not exist: build all programs with `swift build`.", .unavailable)
        }
        return beside
    }

    /// The text that lists addresses and useful commands.
    func guide(database: DevDatabase, kafka: DevKafka) -> String {
        let health = ports.map { daemon, port in
            "  \(daemon): http://127.0.0.1:\(port)/health/ready  /metrics   log: \(folder.logFile(of: daemon))"
        }
        let millrace = CommandLine.arguments[0]
        let note =
            kafka.isMock
            ? [
                "  (a mock cluster in memory: it keeps about 5 MiB of a partition and loses its records at the end;",
                "  --broker keeps them)",
            ] : []
        let setting =
            folder.isDefault ? ", in this folder" : " (first: set -a; . \(folder.path)/\(Endpoints.fileName); set +a)"
        return """
              PostgreSQL: \(database.url)
              Kafka:      \(kafka.bootstrapServers)
              Live page:  \(queryURL)/
              Commands:   \(commandURL)/openapi.json
            \((note + health).joined(separator: "\n"))
              Try, in another terminal\(setting):
                psql \(database.url) -c 'SELECT order_id, status, total_amount, currency FROM order_summary LIMIT 5'
                curl '\(queryURL)/v1/orders?limit=2'
                curl \(commandURL)/v1/accounts -H 'Content-Type: application/json' -d '{"owner":"Ada","currency":"EUR"}'
                \(millrace) tail order-events -f
                \(millrace) load --orders 1000 --rate 0
                \(millrace) verify --wait 30s
              Ctrl-C stops everything; the data stays in \(folder.path)
            """
    }
}
