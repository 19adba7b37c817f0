import TestKit
import Testing

/// Tests the health that daemons report while their servers are not available.
extension ExecutableTests {
    /// A daemon without brokers is live and has started, but it is not ready: a projection has no partitions.
    @Test func aProjectionWithoutBrokers() async throws {
        try await withDatabase(migrating: ["projections", "order-summary"]) { database, _ in
            let daemon = try Executable("order-summary-projection", away + database)
            let port = try await daemon.port()
            try await eventually {
                let answer = try await get("/health/ready", port)
                return answer.contains(#""name":"kafka","kind":"condition","status":"fail""#)
                    && answer.contains(#""name":"partitions of order-summary","kind":"condition","status":"fail""#)
                    && answer.contains(#""name":"database","kind":"condition","status":"pass""#)
            }
            #expect(try await get("/health/live", port).hasPrefix(passes))
            #expect(try await get("/health/startup", port).hasPrefix(passes))
            try await daemon.stop()
        }
    }

    /// The start does not wait for the database, so that no supervisor restarts a daemon because its servers are not
    /// available.
    @Test func aDaemonWithoutItsDatabase() async throws {
        let daemon = try Executable("query-service", away + ["--set", "http.port=0"])
        let port = try await daemon.port()
        try await eventually { try await get("/health/startup", port).hasPrefix(passes) }
        #expect(try await get("/health/live", port).hasPrefix(passes))
        #expect(try await get("/health/ready", port).contains("not reached yet"))
        try await daemon.stop()
    }
}
