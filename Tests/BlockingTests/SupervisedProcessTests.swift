import Foundation
import Glibc
import TestKit
import Testing

@testable import Blocking

@Suite struct SupervisedProcessTests {
    static func withLog(_ body: (String) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("millrace-\(UUID()).log").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    /// The content of the log; empty until the shell has created it.
    static func text(of log: String) -> String {
        (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
    }

    /// Reads the parent's process id from proc(5)'s `stat`.
    private static func parent(of process: Int32) throws -> Int32 {
        let stat = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        let fields = try #require(stat.split(separator: ")").last).split(separator: " ")
        return try #require(Int32(fields[1]))
    }

    @Test(arguments: [0, 1, 78]) func itsEndIsTheChildsOwn(code: Int32) async throws {
        try await Self.withLog { log in
            let process = try SupervisedProcess(["/bin/sh", "-c", "exit \(code)"], logFile: log, patienceSeconds: 5)
            #expect(await process.waitForEnd() == .exited(code))
        }
    }

    @Test func aSignalIsTold() async throws {
        try await Self.withLog { log in
            let process = try SupervisedProcess(["/bin/sh", "-c", "kill -KILL $$"], logFile: log, patienceSeconds: 5)
            #expect(await process.waitForEnd() == .signalled(9))
        }
    }

    @Test func itsOutputIsInTheLog() async throws {
        try await Self.withLog { log in
            let script = "echo to standard output; echo to standard error >&2"
            let process = try SupervisedProcess(["/bin/sh", "-c", script], logFile: log, patienceSeconds: 5)
            _ = await process.waitForEnd()
            let text = Self.text(of: log)
            #expect(text == "to standard output\nto standard error\n")
        }
    }

    @Test func stoppedItGetsTheChanceToEndWell() async throws {
        try await Self.withLog { log in
            // The script reports that it is ready, and exits with its own code on SIGTERM.
            let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
            let process = try SupervisedProcess(["/bin/sh", "-c", script], logFile: log, patienceSeconds: 30)
            try await eventually { Self.text(of: log) == "ready\n" }
            process.stop()
            process.stop()
            #expect(await process.waitForEnd() == .exited(7))
        }
    }

    @Test func deafToTheAskingItIsEnded() async throws {
        try await Self.withLog { log in
            let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
            let process = try SupervisedProcess(["/bin/sh", "-c", script], logFile: log, patienceSeconds: 1)
            try await eventually { Self.text(of: log) == "ready\n" }
            process.stop()
            #expect(await process.waitForEnd() == .signalled(9))
        }
    }

    @Test func itsOwnerGoneItIsAskedToEnd() async throws {
        try await Self.withLog { log in
            let script = "trap 'echo asked; exit 0' TERM; echo $$; while :; do sleep 0.05; done"
            var process: SupervisedProcess? = try SupervisedProcess(
                ["/bin/sh", "-c", script], logFile: log, patienceSeconds: 30)
            try await eventually { Self.text(of: log).hasSuffix("\n") }
            let shell = try Self.parent(of: #require(process).processID)
            // `deinit` closes the socket, as the kernel does when this process is killed.
            process = nil
            try await eventually { Self.text(of: log).hasSuffix("asked\n") }
            // Without a parent that waits for it, the shell would stay a zombie.
            try await eventually { !FileManager.default.fileExists(atPath: "/proc/\(shell)") }
        }
    }

    /// The owner is killed before the shell has reported the child's process id.
    @Test func itsOwnerGoneAtOnceTheChildIsEnded() async throws {
        try await Self.withLog { log in
            let sockets = try SocketPair()
            close(sockets.ours)
            let shell = try ChildProcess(
                ["/bin/sh", "-c", SupervisedProcess.script, "sh", log, "30", "/bin/sleep", "600"],
                input: sockets.childs)
            close(sockets.childs)
            #expect(await shell.waitForEnd() == .exited(128 + SIGTERM))
        }
    }
}
