import Daemon
import TestKit
import Testing

/// Packages, manual pages and operators read the version of each program.
@Suite struct ProgramVersionTests {
    @Test(arguments: [
        "outbox-relay", "order-summary-projection", "dashboard-projection", "sql-projection", "dead-letter-handler",
        "command-service", "order-process", "query-service", "millrace",
    ])
    func tells(_ name: String) async throws {
        let program = try Executable(name, ["--version"])
        #expect(try await program.exitCode() == 0)
        #expect(program.output == "\(Release.version)\n")
    }
}
