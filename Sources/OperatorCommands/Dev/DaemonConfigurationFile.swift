internal import Catalog
internal import Foundation

/// The TOML that a daemon of `millrace dev` is started with: the servers of the session, all else by default.
struct DaemonConfigurationFile {
    let databaseURL: String
    let bootstrapServers: String
    /// Whether Kafka is a mock that starts empty and forgets.
    let isMock: Bool
    /// Where it answers for its health.
    let port: Int
    /// Where queries and commands are answered.
    let httpPorts: (queries: Int, commands: Int)
    /// Folders of SQL; the service answers the queries of those that have some.
    var projections: [String] = []

    func text(for daemon: CatalogDaemon) -> String {
        var lines = [
            "# Written by `millrace dev` at every start. All that is not here has its default.",
            "[operations]",
            "port = \(port)",
            "",
            "[postgres]",
            "url = \(Self.quoted(databaseURL))",
            "",
            "[kafka]",
            "bootstrap_servers = \(Self.quoted(bootstrapServers))",
        ]
        if daemon.sections.contains("commands") {
            let pages = ["127.0.0.1", "localhost"].map { Self.quoted("http://\($0):\(httpPorts.queries)") }
            lines += [
                "", "[http]", "port = \(httpPorts.commands)", "allowed_origins = [\(pages.joined(separator: ", "))]",
            ]
        } else if daemon.sections.contains("http") {
            lines += ["", "[http]", "port = \(httpPorts.queries)"]
        }
        if daemon.sections.contains("page") {
            lines += ["", "[page]", "commands_url = \(Self.quoted("http://127.0.0.1:\(httpPorts.commands)/"))"]
        }
        if daemon.sections.contains("sql_projections"), !projections.isEmpty {
            lines += ["", "[sql_projections]", "folders = [\(Self.list(projections))]"]
        }
        let queries = projections.map { $0 + "/queries" }.filter { FileManager.default.fileExists(atPath: $0) }
        if daemon.sections.contains("sql_queries"), !queries.isEmpty {
            lines += ["", "[sql_queries]", "folders = [\(Self.list(queries))]"]
        }
        if isMock {
            if daemon.sections.contains("relay") { lines += Self.relayOfMock }
            if daemon.sections.contains("projection") { lines += Self.projectionOfMock }
            if !daemon.sections.isDisjoint(with: ["projection", "letters"]) { lines += Self.consumerOfMock }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The mock keeps 5 MiB a partition, as stored, and forgets the rest: the outbox keeps what the projection has not
    /// read.
    private static let relayOfMock = [
        "", "[relay]", "retention = \"keep\"", "", "[kafka.properties]", "\"compression.type\" = \"lz4\"",
    ]

    /// The projection goes on when the mock's oldest records have vanished.
    private static let projectionOfMock = ["", "[projection]", "on_truncated_history = \"continue\""]

    /// The mock's first rebalance waits for the session's timeout, and its empty fetch sleeps the whole wait.
    private static let consumerOfMock = [
        "", "[kafka.properties]", "\"session.timeout.ms\" = \"6000\"", "\"heartbeat.interval.ms\" = \"500\"",
        "\"fetch.wait.max.ms\" = \"20\"",
    ]

    private static func list(_ paths: [String]) -> String {
        paths.map { quoted(URL(filePath: $0).standardizedFileURL.path) }.joined(separator: ", ")
    }

    /// A basic string of TOML.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for character in text {
            if character == "\"" || character == "\\" { quoted.append("\\") }
            quoted.append(character)
        }
        return quoted + "\""
    }
}
