public import EmbeddedPostgres
import Foundation

/// A copy of a private server's data. The server can go back to it, which to its clients looks like a failover to a
/// replica that lacks the last transactions: the sessions end, and the same address answers with older data.
public struct ServerSnapshot: Sendable {
    private let data: String
    private let copy: String

    /// Copies the data. The server stops for that and starts again.
    public static func take(of server: PostgresServer) async throws -> ServerSnapshot {
        let data = URL(filePath: server.socketFolder).deletingLastPathComponent().path() + "data"
        let number = String(UInt64.random(in: .min ... .max), radix: 36)
        let snapshot = ServerSnapshot(data: data, copy: "\(data).\(number)")
        await server.stop(.fast, keepingData: true)
        try snapshot.run(#"cp -a "$1" "$2""#)
        try await server.start()
        return snapshot
    }

    /// Takes back all that the server committed since.
    public func restore(to server: PostgresServer) async throws {
        await server.stop(.immediate, keepingData: true)
        try run(#"rm -rf "$1" && cp -a "$2" "$1""#)
        try await server.start()
    }

    private func run(_ script: String) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", script, "sh", data, copy]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CopyFailed(status: process.terminationStatus) }
    }

    private struct CopyFailed: Error { let status: Int32 }
}
