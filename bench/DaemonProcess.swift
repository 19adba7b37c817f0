import Foundation
import Glibc

/// A daemon under measurement: the real executable, as a child process, with a configuration of its own.
final class DaemonProcess {
    private let process = Process()

    /// Starts `executable` (a name beside this program) with `settings` as `--set` arguments.
    init(_ executable: String, configuration: URL, settings: [String: String]) throws {
        let folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        process.executableURL = folder.appending(path: executable)
        process.arguments =
            ["--config", configuration.path]
            + settings.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
        process.standardOutput = FileHandle.standardError
        process.standardError = FileHandle.standardError
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    var isRunning: Bool { process.isRunning }

    /// Processor time so far, user and system, in seconds (proc(5), fields 14 and 15 of `stat`).
    func processorSeconds() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8)
        guard let end = text.lastIndex(of: ")") else { throw BenchError("cannot read the daemon's processor time") }
        let fields = text[end...].split(separator: " ").dropFirst()
        let ticks = fields.dropFirst(11).prefix(2).compactMap { Double($0) }.reduce(0, +)
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The largest resident set so far, in MiB (`VmHWM`).
    func peakResidentMiB() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        guard let kib = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Double($0) }) else {
            throw BenchError("cannot read the daemon's memory")
        }
        return kib / 1_024
    }

    /// Asks it to stop and waits until it has.
    ///
    /// - Throws: when it ends with anything but 0: a daemon that fails measures nothing.
    func stop() throws {
        process.terminate()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw BenchError("the daemon ended with \(process.terminationStatus)")
        }
    }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
