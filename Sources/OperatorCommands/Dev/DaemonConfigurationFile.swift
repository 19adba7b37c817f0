internal import Catalog
internal import Foundation

/// The configuration file of a daemon of `millrace dev`. It sets the servers of the session; all other settings have
/// their defaults.
struct DaemonConfigurationFile {
    let databaseURL: String
    let bootstrapServers: String
    /// Whether Kafka is a mock cluster, which starts empty and deletes old records.
    let isMock: Bool
    /// The port of health and metrics.
    let port: Int
    /// The ports of queries and commands.
    let httpPorts: (queries: Int, commands: Int)
    /// Folders of SQL files. The query service answers the queries of folders that contain some.
    var projections: [String] = []

    func text(for daemon: CatalogDaemon) -> String {
        var lines = [
            "# Written by `millrace dev` at every start. Settings that are not listed here have their defaults.",
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

    /// The mock cluster keeps 5 MiB for each partition and deletes older records. Therefore the outbox keeps rows until
    /// the projections have read their events.
    private static let relayOfMock = [
        "", "[relay]", "retention = \"keep\"", "", "[kafka.properties]", "\"compression.type\" = \"lz4\"",
    ]

    /// The projection continues if the mock cluster has deleted its oldest records.
    private static let projectionOfMock = ["", "[projection]", "on_truncated_history = \"continue\""]

    /// The mock cluster waits for the session timeout before its first rebalance, and answers an empty fetch only after
    /// the whole wait time.
    private static let consumerOfMock = [
        "", "[kafka.properties]", "\"session.timeout.ms\" = \"6000\"", "\"heartbeat.interval.ms\" = \"500\"",
        "\"fetch.wait.max.ms\" = \"20\"",
    ]

    private static func list(_ paths: [String]) -> String {
        paths.map { quoted(URL(filePath: $0).standardizedFileURL.path) }.joined(separator: ", ")
    }

    /// The text as a basic string of TOML.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for character in text {
            if character == "\"" || character == "\\" { quoted.append("\\") }
            quoted.append(character)
        }
        return quoted + "\""
    }
}
