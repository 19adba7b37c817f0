internal import Foundation

/// The programs of a PostgreSQL server.
struct PostgresBinaries: Sendable {
    /// The folder of `postgres` and `initdb`.
    let folder: String

    var postgres: String { folder + "/postgres" }
    var initdb: String { folder + "/initdb" }

    /// Searches in `PATH`, then in Debian's folders, the newest version first.
    ///
    /// - Parameter version: the required major version, because a data folder of it exists; nil for any.
    static func find(version: String? = nil) throws(PostgresServerError) -> PostgresBinaries {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        var candidates = path.split(separator: ":").map { String($0) }
        let debian = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: debian)) ?? []
        let numbered = versions.compactMap { name in Int(name).map { (number: $0, name: name) } }
        candidates += numbered.sorted { $0.number > $1.number }.map { "\(debian)/\($0.name)/bin" }
        if let version { candidates.insert("\(debian)/\(version)/bin", at: 0) }
        for folder in candidates {
            let binaries = PostgresBinaries(folder: folder)
            if FileManager.default.isExecutableFile(atPath: binaries.postgres)
                && FileManager.default.isExecutableFile(atPath: binaries.initdb)
            {
                return binaries
            }
        }
        throw PostgresServerError(
            .notInstalled,
            "no PostgreSQL server found in PATH or \(debian)/*/bin: install the Debian package postgresql")
    }
}
