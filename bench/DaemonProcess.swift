import Blocking
import Foundation
import Glibc

/// A daemon that is measured: the real executable with its own configuration. It is a child process that ends with this
/// process.
final class DaemonProcess: Sendable {
    private let process: SupervisedProcess

    /// Starts `executable`, which is in the same folder as this program, with `settings` as `--set` arguments.
    init(_ executable: String, configuration: URL, settings: [String: String]) throws {
        let folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let arguments = settings.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
        process = try SupervisedProcess(
            [folder.appending(path: executable).path, "--config", configuration.path] + arguments,
            logFile: "/dev/stderr", patienceSeconds: 60)
    }

    /// Starts a command of an executable in the same folder as this program.
    init(_ executable: String, arguments: [String]) throws {
        let folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        process = try SupervisedProcess(
            [folder.appending(path: executable).path] + arguments, logFile: "/dev/stderr", patienceSeconds: 60)
    }

    var isRunning: Bool { process.isRunning }

    /// Processor time so far, user and system, in seconds (proc(5), fields 14 and 15 of `stat`).
    func processorSeconds() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process.processID)/stat", encoding: .utf8)
        guard let end = text.lastIndex(of: ")") else { throw BenchError("cannot read the daemon's processor time") }
        let fields = text[end...].split(separator: " ").dropFirst()
        let ticks = fields.dropFirst(11).prefix(2).compactMap { Double($0) }.reduce(0, +)
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The largest resident set so far, in MiB (`VmHWM`).
    func peakResidentMiB() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process.processID)/status", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        guard let kib = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Double($0) }) else {
            throw BenchError("cannot read the daemon's memory")
        }
        return kib / 1_024
    }

    /// Stops the daemon and waits for its end. It may be called once.
    ///
    /// - Throws: if the daemon's exit code is not 0, because the measurement of a failed daemon is invalid.
    func stop() async throws {
        process.stop()
        let end = await process.waitForEnd()
        guard end == .exited(0) else { throw BenchError("the daemon \(end)") }
    }

    /// Sends a signal, unless the process was stopped or killed.
    func signal(_ number: Int32) { process.signal(number) }

    /// Kills the daemon with SIGKILL, and waits for its end. It may be called once.
    func kill() async {
        process.signal(SIGKILL)
        _ = await process.waitForEnd()
    }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
