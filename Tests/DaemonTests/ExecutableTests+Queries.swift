import Foundation
import Glibc
import Kafka
import Postgres
import TestKit
import Testing

extension ExecutableTests {
    /// SIGHUP reloads all files or none.
    @Test func theQueryServiceReadsItsQueriesAgain() async throws {
        let sets = ["projections", "order-summary", "dashboard", "sql-projections"]
        try await withDatabase(migrating: sets) { database, connection in
            try await connection.execute(
                script: """
                    INSERT INTO sql_projections VALUES ('things', 1, 'things', '');
                    INSERT INTO projection_versions (name, version, schema_name, structure, state)
                    VALUES ('things', 1, 'things', 1, 'live')
                    """)
            let folder = NSTemporaryDirectory() + "millrace-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            func write(_ name: String, _ text: String) throws {
                try text.write(toFile: "\(folder)/\(name).sql", atomically: true, encoding: .utf8)
            }
            try write("one", "-- @reads things\nSELECT 1 AS one, y")
            let kafka = try TestKafka.clientConfiguration().bootstrapServers
            let settings = ["kafka.bootstrap_servers=\(kafka)", "http.port=0", "sql_queries.folders=\(folder)"]
            let check = try Executable(
                "query-service", ["--check=online"] + away + database + settings.flatMap { ["--set", $0] })
            #expect(try await check.exitCode() == 78)
            #expect(check.errors.contains("one.sql:2:18: column"), "\(check.errors)")
            try write("one", "-- @reads things\nSELECT 1 AS one")
            let service = try Executable(
                "query-service", away + database + settings.flatMap { ["--set", $0] })
            try await service.waitForLog("serving queries address=")
            let line = service.errors.split(separator: "\n").first { $0.contains("serving queries address=") }
            let port = try #require(line?.split(separator: ":").last.flatMap { Int($0) })
            #expect(try await get("/v1/q/one", port) == #"{"rows":[{"one":1}],"more":false}"#)
            try write(
                "one", "-- @reads things\n-- @path /v1/things/{id}/one\n-- @param id text\nSELECT :id || 'é' AS one")
            try write("two", "-- @reads things\nSELECT 2 two, x")
            service.signal(SIGHUP)
            try await service.waitForLog("reload failed: all settings and files stay as they were")
            #expect(service.errors.contains("two.sql:2:15: column"), "\(service.errors)")
            #expect(try await get("/v1/q/one", port) == #"{"rows":[{"one":1}],"more":false}"#)
            #expect(try await get("/v1/things/7/one", port).contains("no route matches this path"))
            try write(
                "two", "-- @reads things\n-- @path /v1/orders/{order}\n-- @param order text\nSELECT :order AS two")
            service.signal(SIGHUP)
            try await service.waitForLog("two.sql:2:10: the service itself answers /v1/orders/{id}")
            try write("two", "-- @reads things\n-- @path /v1/two\nSELECT 2 AS two")
            service.signal(SIGHUP)
            try await service.waitForLog("loaded the queries queries=2")
            #expect(try await get("/v1/q/one?id=7", port) == #"{"rows":[{"one":"7é"}],"more":false}"#)
            #expect(try await get("/v1/things/a%2Fb%2525/one", port) == #"{"rows":[{"one":"a/b%25é"}],"more":false}"#)
            #expect(try await get("/v1/q/two", port) == #"{"rows":[{"two":2}],"more":false}"#)
            #expect(try await get("/v1/two", port) == #"{"rows":[{"two":2}],"more":false}"#)
            service.signal(SIGTERM)
            #expect(try await service.exitCode() == 0, "\(service.errors)")
        }
    }
}
