import Foundation
import Postgres

/// Two of the folders in `projections`. A chaos run reads them, and reads the topics again from the beginning to
/// compare.
struct ChaosFolders {
    static let names = ["product-stats", "sales-report"]
    /// The version that reads all topics again at the end.
    static let replayVersion = 99

    private let servers: BenchServers
    private let place: URL

    private static let source = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "projections")

    init(_ servers: BenchServers) {
        self.servers = servers
        place = FileManager.default.temporaryDirectory.appending(path: "millrace-chaos-\(UUID().uuidString)")
    }

    /// The topics that the folders read in addition to the topics of orders, and their dead-letter topics.
    static func topics(_ servers: BenchServers) -> [String] {
        ["product" + servers.topicSuffix] + names.flatMap { ["dlq.\($0)", "retry.\($0)"] }
    }

    /// Copies the folders, with the topics of this run.
    ///
    /// - Parameter version: the version; nil for the folder's own version.
    /// - Returns: the value of `sql_projections.folders`.
    func write(version: Int? = nil) throws -> String {
        let target = place.appending(path: version.map { "v\($0)" } ?? "own")
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        var paths: [String] = []
        for name in Self.names {
            let copy = target.appending(path: name)
            try FileManager.default.copyItem(at: Self.source.appending(path: name), to: copy)
            let file = copy.appending(path: "projection.toml")
            var text = try String(contentsOf: file, encoding: .utf8)
                .replacing("-events\"", with: "\(servers.topicSuffix)\"")
            if let version { text = text.replacing(/(?m)^version = .*$/, with: "version = \(version)") }
            try text.write(to: file, atomically: true, encoding: .utf8)
            paths.append(copy.path)
        }
        return paths.joined(separator: ",")
    }

    func remove() { try? FileManager.default.removeItem(at: place) }

    /// Compares the rows that were updated during the run with the rows of the replay.
    ///
    /// - Throws: if a row differs.
    static func compare(on connection: PostgresConnection) async throws {
        for name in names {
            let kept = name.replacing("-", with: "_") + "_v1"
            let replayed = name.replacing("-", with: "_") + "_v\(replayVersion)"
            let tables = try await connection.execute(
                .unprepared(
                    """
                    SELECT relname::text FROM pg_class
                    WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                    ORDER BY 1
                    """), Parameters { $0.append(kept) })
            var rows: Int64 = 0
            for index in 0..<tables.rowCount {
                let table = try tables.string(index, 0)
                let found = try await connection.execute(
                    .unprepared(
                        """
                        SELECT (SELECT count(*) FROM (TABLE \(kept).\(table) EXCEPT ALL TABLE \(replayed).\(table)) AS a)
                            + (SELECT count(*) FROM (TABLE \(replayed).\(table) EXCEPT ALL TABLE \(kept).\(table)) AS b),
                            (SELECT count(*) FROM \(kept).\(table))
                        """))
                let different = try found.int64(0, 0)
                guard different == 0 else {
                    throw BenchError("\(name): \(different) rows of \(table) differ from a replay")
                }
                rows += try found.int64(0, 1)
            }
            guard rows > 0 else { throw BenchError("\(name) is empty") }
            say("\(name): \(rows) rows, the same as a replay's")
        }
    }
}
