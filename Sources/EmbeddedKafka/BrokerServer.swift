internal import Blocking
public import Foundation

/// A Kafka-compatible broker in its own process on 127.0.0.1: `noida-db` from PyPI, which shares no code with Apache
/// Kafka, librdkafka or Millrace. It is used by `millrace dev --broker`, tests and benches.
///
/// Unlike ``MockCluster``, it stores its records in a folder and finds them again at the next start. It writes them
/// every few seconds and at a stop. If it is killed, it loses the records that it acknowledged since the last write. If
/// it is stopped under load, it loses the last few.
public final class BrokerServer: Sendable {
    /// The name of the default executable.
    public static let programName = "noida-db"
    /// The environment variable with the path of another executable.
    public static let programVariable = "MILLRACE_BROKER"

    /// `host:port`.
    public var bootstrapServers: String { "127.0.0.1:\(port)" }
    /// The port on 127.0.0.1.
    public let port: Int
    private let folder: String
    private let process: SupervisedProcess

    /// Starts a broker on the data in `folder` and waits until it accepts connections.
    ///
    /// - Parameters:
    ///   - program: the broker's executable, as ``findProgram(in:)`` returns it.
    ///   - folder: the folder of its data; created if it does not exist.
    ///   - port: nil for any free port.
    ///   - startTimeoutMs: maximum time until it accepts connections, in milliseconds. It first reads all its data.
    ///   - isWanted: called repeatedly during the start. If it returns false, or the task is cancelled, the broker is
    ///     stopped.
    /// - Throws: ``BrokerServerError`` with the end of the broker's log.
    public static func start(
        program: String, folder: String, port: Int? = nil, startTimeoutMs: Int = 300_000,
        isWanted: @Sendable () -> Bool = { true }
    ) async throws(BrokerServerError) -> BrokerServer {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let broker = try BrokerServer(program, folder, try port ?? LoopbackPort.findFree())
            try await broker.waitUntilListening(logFile: logFile(in: folder), startTimeoutMs, isWanted)
            return broker
        } catch let error as BrokerServerError {
            throw error
        } catch {
            throw BrokerServerError(description: "the broker cannot be started: \(error)")
        }
    }

    private init(_ program: String, _ folder: String, _ port: Int) throws(SystemError) {
        self.port = port
        self.folder = folder
        let command = [
            program, "start", "--only", "kafka", "--kafka-port", String(port), "--data-dir", folder,
        ]
        process = try SupervisedProcess(
            command, logFile: Self.logFile(in: folder), patienceSeconds: Self.patienceSeconds)
    }

    /// Time between SIGTERM and SIGKILL, in seconds. When the broker stops, it writes all its data, which may take
    /// long.
    private static let patienceSeconds = 120

    private static func logFile(in folder: String) -> String { folder + "/broker.log" }

    private func waitUntilListening(
        logFile: String, _ timeoutMs: Int, _ isWanted: @Sendable () -> Bool
    ) async throws(BrokerServerError) {
        let deadline = ContinuousClock.now + .milliseconds(timeoutMs)
        while !LoopbackPort.isListening(on: port) {
            guard ContinuousClock.now < deadline, process.isRunning else {
                let log = (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? ""
                let tail = log.split(separator: "\n").suffix(5).joined(separator: " | ")
                process.stop()
                throw BrokerServerError(description: "the broker did not start on port \(port): \(tail)")
            }
            guard !Task.isCancelled, isWanted() else {
                await stop()
                throw BrokerServerError(description: "the broker was stopped during its start")
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Asks the broker to stop, which makes it write its records, and waits for its end. Call either this or
    /// ``kill()``, once.
    public func stop() async {
        process.stop()
        _ = await process.waitForEnd()
    }

    /// Kills the broker and waits for its end.
    public func kill() async {
        process.signal(SIGKILL)
        _ = await process.waitForEnd()
    }

    /// The time of the broker's last write; nil if it has not written yet.
    public func lastWrite() -> Date? {
        let data = URL(filePath: folder).appending(path: "kafka.json")
        return try? data.resourceValues(forKeys: [.contentModificationDateKey]).contentModificationDate
    }
}

/// The reason why the broker failed, with its own message.
public struct BrokerServerError: Error, CustomStringConvertible {
    public let description: String
}

extension BrokerServer {
    /// Finds the broker's executable: the value of ``programVariable`` if it is set, otherwise ``programName`` in
    /// `PATH`.
    ///
    /// - Parameter environment: usually the environment of the process.
    /// - Throws: ``BrokerServerError`` if there is none. Its text says what to do.
    public static func findProgram(in environment: [String: String]) throws(BrokerServerError) -> String {
        if let named = environment[programVariable], !named.isEmpty { return named }
        for folder in (environment["PATH"] ?? "").split(separator: ":") {
            let candidate = "\(folder)/\(programName)"
            guard FileManager.default.isExecutableFile(atPath: candidate) else { continue }
            if isBinary(candidate) { return candidate }
            if let wrapped = binaryOfWheel() { return wrapped }
        }
        throw BrokerServerError(
            description: "\(programName) is not in PATH. Install it with `pip install \(programName)`, or set its "
                + "executable with \(programVariable).")
    }

    private static func isBinary(_ path: String) -> Bool {
        guard let file = FileHandle(forReadingAtPath: path) else { return false }
        defer { try? file.close() }
        return (try? file.read(upToCount: 4)) == Data([0x7F, 0x45, 0x4C, 0x46])
    }

    /// pip puts a script into `PATH`, which does not forward signals. The executable is in the package's folder.
    private static func binaryOfWheel() -> String? {
        let python = Process()
        python.executableURL = URL(filePath: "/usr/bin/env")
        python.arguments = [
            "python3", "-c",
            "import importlib.util as u; print(u.find_spec('noida_db').submodule_search_locations[0])",
        ]
        let output = Pipe()
        python.standardOutput = output
        python.standardError = FileHandle.nullDevice
        guard (try? python.run()) != nil else { return nil }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        python.waitUntilExit()
        let path = text.trimmingCharacters(in: .whitespacesAndNewlines) + "/" + programName
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }
}
