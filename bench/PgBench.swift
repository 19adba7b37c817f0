import Foundation
import Postgres

/// PostgreSQL's own load generator: what the database gives to a client that does nothing with it.
struct PgBench {
    /// The script: variables, and the statement with `:name` for each of them.
    let script: String
    let connections: Int
    /// The session's settings, as the service's sessions have them.
    var settings = [
        "plan_cache_mode": "force_generic_plan", "enable_bitmapscan": "off", "jit": "off",
        "default_transaction_read_only": "on",
    ]

    /// Runs so many statements. It cannot be told for how long: the threads of this process block its alarm, and it
    /// inherits that.
    ///
    /// - Returns: how many there were in a second; prepared once, each a transaction.
    func perSecond(on postgres: PostgresConfiguration, statements: Int) throws -> Double {
        let file = FileManager.default.temporaryDirectory.appending(path: "millrace-\(UUID().uuidString).pgbench")
        try Data(script.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = try Self.program()
        process.arguments = [
            "--no-vacuum", "--protocol=prepared", "--client=\(connections)", "--jobs=2",
            "--transactions=\(max(statements / connections, 1))",
            "--file=\(file.path)", "--host=\(postgres.host ?? "")", "--port=\(postgres.port ?? 5_432)",
            "--username=\(postgres.user ?? "")", postgres.database ?? "postgres",
        ]
        var environment = ProcessInfo.processInfo.environment
        environment["PGOPTIONS"] = settings.sorted { $0.key < $1.key }.map { "-c \($0.key)=\($0.value)" }
            .joined(separator: " ")
        if let password = postgres.password { environment["PGPASSWORD"] = password }
        process.environment = environment
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.standardError
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let text = String(decoding: data, as: UTF8.self)
        guard process.terminationStatus == 0,
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("tps = ") }),
            let rate = Double(line.dropFirst(6).prefix { $0 != " " })
        else { throw BenchError("pgbench failed: \(text)") }
        return rate
    }

    /// Debian keeps it beside the server, one for each version.
    private static func program() throws -> URL {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let programs = versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "\(root)/\($0)/bin/pgbench" }
        guard let path = programs.first(where: FileManager.default.isExecutableFile) else {
            throw BenchError("pgbench is not installed (Debian: postgresql-contrib)")
        }
        return URL(filePath: path)
    }
}
