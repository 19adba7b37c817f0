import TestKit
import Testing

/// What daemons say of their health while their servers are away.
extension ExecutableTests {
    /// Brokers that are away make a daemon neither dead nor unfinished, but not ready: a projection has no partitions.
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

    /// The start does not wait for the database, so that nothing restarts a daemon because servers are away.
    @Test func aDaemonWithoutItsDatabase() async throws {
        let daemon = try Executable("query-service", away + ["--set", "http.port=0"])
        let port = try await daemon.port()
        try await eventually { try await get("/health/startup", port).hasPrefix(passes) }
        #expect(try await get("/health/live", port).hasPrefix(passes))
        #expect(try await get("/health/ready", port).contains("not reached yet"))
        try await daemon.stop()
    }
}
