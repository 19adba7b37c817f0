import Foundation
import TestKit
import Testing

/// A built executable that runs as a child process, its output going to files.
final class Executable {
    private let process = Process()
    private let folder: String

    /// - Parameter environment: the whole environment but for `PATH`: what surrounds the tests must not matter.
    init(_ name: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        folder = NSTemporaryDirectory() + "millrace-daemon-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // The executables lie beside the tests' own.
        process.executableURL = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appending(path: name)
        process.arguments = arguments
        process.environment = environment.merging(["PATH": "/usr/bin:/bin"]) { own, _ in own }
        process.standardOutput = try Self.file(folder + "/output")
        process.standardError = try Self.file(folder + "/errors")
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func file(_ path: String) throws -> FileHandle {
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        return try #require(FileHandle(forWritingAtPath: path))
    }

    private func text(_ name: String) -> String {
        (try? String(contentsOfFile: folder + "/" + name, encoding: .utf8)) ?? ""
    }

    /// What it wrote to standard output so far.
    var output: String { text("output") }
    /// What it wrote to standard error so far.
    var errors: String { text("errors") }

    func signal(_ number: Int32) {
        kill(process.processIdentifier, number)
    }

    /// Waits until it has written `text` to standard error.
    func waitForLog(_ text: String) async throws {
        try await eventually(within: .seconds(30)) {
            let isThere = errors.contains(text)
            try #require(isThere || process.isRunning, "no \"\(text)\" in: \(errors)")
            return isThere
        }
    }

    /// Waits until it serves health and metrics.
    func port() async throws -> Int {
        let text = "serving health and metrics address="
        try await waitForLog(text)
        let line = errors.split(separator: "\n").first { $0.contains(text) }
        return try #require(line?.split(separator: ":").last.flatMap { Int($0) })
    }

    /// Waits for the end.
    func exitCode() async throws -> Int32 {
        try await eventually(within: .seconds(30)) { !process.isRunning }
        return process.terminationStatus
    }
}
