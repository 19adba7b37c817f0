public import Foundation
public import Testing

/// A built executable that runs as a child process and writes its output to files.
public final class Executable {
    private let process = Process()
    private let folder: String

    /// - Parameter environment: the whole environment except `PATH`, so that the environment of the tests has no
    ///   effect.
    public init(_ name: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        folder = NSTemporaryDirectory() + "millrace-daemon-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        process.executableURL = Self.url(of: name)
        process.arguments = arguments
        process.environment = environment.merging(["PATH": "/usr/bin:/bin"]) { own, _ in own }
        process.standardOutput = try Self.file(folder + "/output")
        process.standardError = try Self.file(folder + "/errors")
        try process.run()
    }

    /// The URL of an executable in the folder of the tests' own executable.
    public static func url(of name: String) -> URL {
        URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: name)
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func file(_ path: String) throws -> FileHandle {
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        return try FileHandle(forWritingTo: URL(filePath: path))
    }

    private func text(_ name: String) -> String {
        // The output of a crashing process may be invalid UTF-8.
        String(decoding: FileManager.default.contents(atPath: folder + "/" + name) ?? Data(), as: UTF8.self)
    }

    /// The standard output so far.
    public var output: String { text("output") }
    /// The standard error so far.
    public var errors: String { text("errors") }

    public var processID: Int32 { process.processIdentifier }

    public func signal(_ number: Int32) {
        kill(process.processIdentifier, number)
    }

    /// Waits until the process has written `text` to standard error.
    public func waitForLog(_ text: String) async throws {
        try await wait("no \"\(text)\" in") { errors.contains(text) || !process.isRunning }
        if !errors.contains(text) { throw Complaint(description: "no \"\(text)\" in: \(errors)") }
    }

    /// Waits until the process serves health and metrics. Returns the port.
    public func port() async throws -> Int {
        let text = "serving operations address="
        try await waitForLog(text)
        let line = errors.split(separator: "\n").first { $0.contains(text) }
        return try #require(line?.split(separator: ":").last.flatMap { Int($0) })
    }

    /// Waits for the end of the process.
    public func exitCode() async throws -> Int32 {
        try await wait("still running") { !process.isRunning }
        return process.terminationStatus
    }

    /// Stops a daemon as a service manager does, and expects exit code 0.
    ///
    /// It sends the signal only after the daemon serves operations. Before that, the daemon may not handle signals yet,
    /// and the signal would simply kill it.
    public func stop(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        _ = try await port()
        signal(SIGTERM)
        let code = try await exitCode()
        #expect(code == 0, "\(code): \(errors)", sourceLocation: sourceLocation)
    }

    private func wait(_ complaint: String, _ condition: () -> Bool) async throws {
        do {
            try await eventually { condition() }
        } catch {
            throw Complaint(description: "\(complaint): \(errors)")
        }
    }

    /// The expected behaviour that did not occur, and the standard error instead.
    private struct Complaint: Error, CustomStringConvertible {
        let description: String
    }
}
