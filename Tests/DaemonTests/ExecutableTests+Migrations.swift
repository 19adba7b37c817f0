import TestKit
import Testing

extension ExecutableTests {
    /// Migrations can run in an environment that knows neither the brokers nor their secrets.
    @Test(arguments: [
        "outbox-relay", "order-summary-projection", "dashboard-projection", "dead-letter-handler", "command-service",
        "order-process", "query-service",
    ])
    func migratingNeedsNoKafka(_ name: String) async throws {
        let database = ["--set", "postgres.url=postgresql://127.0.0.1:9/none"]
        let secret = ["--set", #"kafka.properties."sasl.password"={ file = "/no/such" }"#]
        let migrating = try Executable(name, ["--migrate"] + database + secret)
        #expect(try await migrating.exitCode() == 75)
        #expect(migrating.errors.hasPrefix("postgres: "), "\(migrating.errors)")
        let wrong = try Executable(name, ["--migrate"] + database + ["--set", "post.url=x"])
        #expect(try await wrong.exitCode() == 78)
    }
}
