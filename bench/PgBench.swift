import Foundation
import Postgres

/// PostgreSQL's own load generator. It measures the rate of the database for a client that does nothing else.
struct PgBench {
    /// The script: variables, and the statement with `:name` for each variable.
    let script: String
    let connections: Int
    /// The settings of the session, which are those of the service's sessions.
    var settings = [
        "plan_cache_mode": "force_generic_plan", "enable_bitmapscan": "off", "jit": "off",
        "default_transaction_read_only": "on",
    ]

    /// Runs this number of statements. A duration is not possible: the threads of this process block the alarm signal
    /// of pgbench, which inherits the signal mask.
    ///
    /// - Returns: the number of statements a second. Each is prepared once, and each execution is a transaction.
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

    /// Debian installs pgbench next to the server, one for each version.
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
