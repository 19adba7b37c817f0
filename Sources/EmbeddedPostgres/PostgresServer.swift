internal import Blocking
internal import Foundation
internal import Glibc
internal import StreamCore

/// A private PostgreSQL server in a folder. Clients connect to a Unix socket, and optionally to 127.0.0.1, as user
/// `postgres` without a password, to the database `postgres`.
///
/// The server ends with this process in all cases: a supervising shell reads a pipe, and only this process holds the
/// other end.
public actor PostgresServer {
    /// The ways to stop a server (PostgreSQL's manual, "Shutting Down the Server").
    public enum StopMode: String, Sendable {
        /// Ends sessions, rolls back transactions and writes all data.
        case fast
        /// Stops like a crash. The next start recovers the data.
        case immediate
    }

    /// The folder of the Unix socket: libpq's `host`.
    public nonisolated let socketFolder: String
    /// The port, which also names the socket.
    public nonisolated let port: Int
    /// Whether the server also listens on 127.0.0.1.
    public nonisolated let listensOnTCP: Bool

    private let configuration: PostgresServerConfiguration
    private let binaries: PostgresBinaries
    private let user: ServerUser
    private var supervisor: Supervisor?

    private init(_ configuration: PostgresServerConfiguration) throws(PostgresServerError) {
        var configuration = configuration
        configuration.folder = URL(fileURLWithPath: configuration.folder).standardizedFileURL.path
        self.configuration = configuration
        user = try .current()
        let version = try? String(contentsOfFile: configuration.folder + "/data/PG_VERSION", encoding: .utf8)
        binaries = try .find(version: version?.trimmingCharacters(in: .whitespacesAndNewlines))
        switch configuration.tcp {
        case .none: port = 5432
        case .port(let number): port = number
        case .freePort: port = try Self.freePort()
        }
        listensOnTCP = configuration.tcp != .none
        socketFolder = Self.socketFolder(for: configuration.folder, port: port)
    }

    /// Starts a server on the data in the configuration's folder, and waits until it accepts connections. The folder is
    /// created if it does not exist.
    public static func start(_ configuration: PostgresServerConfiguration) async throws(PostgresServerError)
        -> PostgresServer
    {
        let server = try PostgresServer(configuration)
        try await server.prepare()
        try await server.startServer()
        return server
    }

    /// The connection URL. It uses TCP if the server listens there.
    public nonisolated var url: String {
        if listensOnTCP { return "postgresql://postgres@127.0.0.1:\(port)/postgres" }
        let host = socketFolder.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? socketFolder
        return "postgresql://postgres@\(host):\(port)/postgres"
    }

    /// Starts the server again after ``stop(_:keepingData:)``, on the same data and port.
    public func start() async throws(PostgresServerError) {
        try await startServer()
    }

    /// Stops the server and waits for its end. Does nothing if it has stopped already.
    ///
    /// - Parameter keepingData: whether a temporary folder is kept for a later ``start()``.
    public func stop(_ mode: StopMode = .fast, keepingData: Bool = false) async {
        await end(mode)
        if configuration.isTemporary && !keepingData { removeFolders() }
    }

    /// Stops the server and starts it again on the same data and port.
    public func restart(_ mode: StopMode) async throws(PostgresServerError) {
        await end(mode)
        try await startServer()
    }

    private func removeFolders() {
        for folder in [configuration.folder, socketFolder] {
            // It may be inside the other folder and already deleted.
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    private func end(_ mode: StopMode) async {
        guard let supervisor else { return }
        self.supervisor = nil
        await supervisor.end(mode)
    }

    // MARK: -

    /// The path of a socket has at most 107 bytes.
    private static func socketFolder(for folder: String, port: Int) -> String {
        let inside = folder + "/socket"
        if "\(inside)/.s.PGSQL.\(port)".utf8.count <= 107 { return inside }
        return "/tmp/millrace-postgres-" + String(FNV1a.hash(folder), radix: 36)
    }

    private var dataFolder: String { configuration.folder + "/data" }
    private var logFile: String { configuration.folder + "/log" }

    private func prepare() async throws(PostgresServerError) {
        try user.makePrivateFolder(configuration.folder)
        try user.makePrivateFolder(socketFolder)
        try await requireReachable()
        if FileManager.default.fileExists(atPath: dataFolder + "/PG_VERSION") { return }
        // The cluster is created in another folder and then renamed, so a folder named `data` always contains a
        // complete cluster.
        let unfinished = configuration.folder + "/data.unfinished"
        try? FileManager.default.removeItem(atPath: unfinished)
        var arguments = [
            binaries.initdb, "--pgdata=\(unfinished)", "--username=postgres", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--no-instructions",
        ]
        if configuration.isTemporary { arguments.append("--no-sync") }
        let end = try await run(user.commandPrefix + arguments)
        guard end == .exited(0) else {
            throw PostgresServerError(.failed, "initdb \(end): \(logTail())")
        }
        guard unsafe rename(unfinished, dataFolder) == 0 else {
            throw PostgresServerError(.failed, "cannot rename \(unfinished): errno \(errno)")
        }
    }

    /// Checks that the server's user may enter every folder of the path.
    private func requireReachable() async throws(PostgresServerError) {
        guard case .other(let name, _, _) = user else { return }
        let test = user.commandPrefix + ["/usr/bin/test", "-w", configuration.folder]
        let end = try await Self.explained { () throws(SystemError) in try ChildProcess(test) }.waitForEnd()
        guard end == .exited(0) else {
            throw PostgresServerError(
                .folderUnreachable,
                "user \(name), who runs the server instead of root, cannot enter \(configuration.folder): "
                    + "choose a folder whose parent folders are open to all users")
        }
    }

    private func run(_ command: [String]) async throws(PostgresServerError) -> ChildProcess.End {
        let shell = ["/bin/sh", "-c", "exec \"$@\" >>\"$0\" 2>&1", logFile]
        return try await Self.explained { () throws(SystemError) in try ChildProcess(shell + command) }.waitForEnd()
    }

    private func startServer() async throws(PostgresServerError) {
        guard supervisor == nil else { throw PostgresServerError(.failed, "the server is already running") }
        var settings = configuration.settings
        settings["unix_socket_directories"] = socketFolder
        settings["listen_addresses"] = listensOnTCP ? "127.0.0.1" : ""
        settings["port"] = String(port)
        let options = settings.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
        let supervisor = try Self.explained { () throws(SystemError) in
            try Supervisor(
                command: user.commandPrefix + [binaries.postgres, "-D", dataFolder] + options, logFile: logFile,
                doomedFolders: configuration.isTemporary ? [configuration.folder, socketFolder] : [])
        }
        self.supervisor = supervisor
        let deadline = ContinuousClock.now + .milliseconds(configuration.startTimeoutMs)
        while !isReady() {
            if supervisor.hasEnded {
                let reason = logTail()
                await stop()
                throw PostgresServerError(.failed, "the server did not start: \(reason)")
            }
            if ContinuousClock.now > deadline {
                let reason = logTail()
                await stop(.immediate)
                throw PostgresServerError(
                    .failed,
                    "the server was not ready within \(configuration.startTimeoutMs) ms: \(reason)")
            }
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    private static func freePort() throws(PostgresServerError) -> Int {
        try explained { () throws(SystemError) in try LoopbackPort.findFree() }
    }

    private static func explained<Result>(
        _ call: () throws(SystemError) -> Result
    ) throws(PostgresServerError) -> Result {
        do throws(SystemError) {
            return try call()
        } catch {
            throw PostgresServerError(.failed, error.description)
        }
    }

    /// The last line of the postmaster's file shows whether it accepts connections. `pg_ctl` reads it too.
    private func isReady() -> Bool {
        guard let text = try? String(contentsOfFile: dataFolder + "/postmaster.pid", encoding: .utf8) else {
            return false
        }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.count >= 8 && lines[0] == supervisor?.serverProcessID && lines[7].hasPrefix("ready")
    }

    private func logTail() -> String {
        let text = (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(5).joined(separator: " | ")
    }
}
