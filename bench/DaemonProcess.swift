import Blocking
import Foundation
import Glibc

/// A daemon under measurement: the real executable, as a child process that ends with this one, with a configuration of
/// its own.
final class DaemonProcess: Sendable {
    private let process: SupervisedProcess

    /// Starts `executable` (a name beside this program) with `settings` as `--set` arguments.
    init(_ executable: String, configuration: URL, settings: [String: String]) throws {
        let folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let arguments = settings.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
        process = try SupervisedProcess(
            [folder.appending(path: executable).path, "--config", configuration.path] + arguments,
            logFile: "/dev/stderr", patienceSeconds: 60)
    }

    /// Starts a command of an executable beside this program.
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

    /// Asks it to stop and waits until it has. May be called once.
    ///
    /// - Throws: when it ends with anything but 0: a daemon that fails measures nothing.
    func stop() async throws {
        process.stop()
        let end = await process.waitForEnd()
        guard end == .exited(0) else { throw BenchError("the daemon \(end)") }
    }

    /// Sends it a signal, as long as it has neither been stopped nor killed.
    func signal(_ number: Int32) { process.signal(number) }

    /// Ends it without asking, and waits until it has. May be called once.
    func kill() async {
        process.signal(SIGKILL)
        _ = await process.waitForEnd()
    }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
