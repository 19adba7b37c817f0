public import EmbeddedPostgres
import Foundation
public import Postgres

/// A primary and its streaming replica, both private servers.
public struct TestReplica: Sendable {
    public let primary: PostgresServer
    public let replica: PostgresServer

    public var primaryConfiguration: PostgresConfiguration {
        get throws(PostgresError) { try PostgresConfiguration(url: primary.url) }
    }

    /// The access is `any`, because the replica accepts no writes.
    public var replicaConfiguration: PostgresConfiguration {
        get throws(PostgresError) {
            var configuration = try PostgresConfiguration(url: replica.url)
            configuration.access = .any
            return configuration
        }
    }

    /// Starts both servers, the replica on a copy of the primary, and stops them at the end.
    ///
    /// - Parameter prepare: called with the primary before it is copied.
    public static func with(
        prepare: (PostgresConfiguration) async throws -> Void = { _ in }, _ body: (TestReplica) async throws -> Void
    ) async throws {
        let folder = "/tmp/millrace-test-" + String(UInt64.random(in: .min ... .max), radix: 36)
        var settings = PostgresServerConfiguration.withoutDurability
        for (name, value) in [("wal_level", "replica"), ("max_wal_senders", "4"), ("hot_standby", "on")] {
            settings[name] = value
        }
        let primary = try await PostgresServer.start(
            PostgresServerConfiguration(folder: folder + "-primary", settings: settings, isTemporary: true))
        let result: Result<Void, any Error>
        do {
            try await prepare(try PostgresConfiguration(url: primary.url))
            // A cold copy contains all written data, and its files belong to the servers' user.
            await primary.stop(.fast, keepingData: true)
            try FileManager.default.createDirectory(atPath: folder + "-replica", withIntermediateDirectories: true)
            try copy(folder + "-primary/data", folder + "-replica/data")
            try await primary.start()
            settings["primary_conninfo"] = "host=\(primary.socketFolder) port=\(primary.port) user=postgres"
            let replica = try await PostgresServer.start(
                PostgresServerConfiguration(folder: folder + "-replica", settings: settings, isTemporary: true))
            do {
                try await body(TestReplica(primary: primary, replica: replica))
                result = .success(())
            } catch {
                await replica.stop(.immediate)
                throw error
            }
            await replica.stop(.immediate)
        } catch {
            await primary.stop(.immediate)
            throw error
        }
        await primary.stop(.immediate)
        try result.get()
    }

    /// Copies a data folder with its owner, and turns the copy into a standby.
    private static func copy(_ source: String, _ target: String) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        let script = #"cp -a "$1" "$2" && touch "$2/standby.signal" && chown --reference="$2" "$2/standby.signal""#
        process.arguments = ["-c", script, "sh", source, target]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CopyFailed(status: process.terminationStatus) }
    }

    private struct CopyFailed: Error { let status: Int32 }
}
