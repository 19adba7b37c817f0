import Blocking
import Foundation
import Glibc
import Testing

@testable import EmbeddedPostgres

@Suite struct SupervisorTests {
    /// The process that starts the server is killed before the shell has reported the server's process id. The shell
    /// must survive this, because it is the process that stops the server.
    @Test func itsOwnerGoneAtOnceTheShellStaysWithTheServer() async throws {
        let log = FileManager.default.temporaryDirectory.appendingPathComponent("millrace-\(UUID()).log").path
        defer { try? FileManager.default.removeItem(atPath: log) }
        let (input, output) = try (SocketPair(), SocketPair())
        close(input.ours)
        close(output.ours)
        let shell = try ChildProcess(
            ["/bin/sh", "-c", Supervisor.script, "sh", log, "0", "/bin/sh", "-c", "exit 7"],
            input: input.childs, output: output.childs)
        close(input.childs)
        close(output.childs)
        let end = await shell.waitForEnd()
        // The child either exits by itself, or is ended by the signal that the shell sends at once.
        #expect([.exited(7), .exited(128 + SIGQUIT)].contains(end))
    }
}
