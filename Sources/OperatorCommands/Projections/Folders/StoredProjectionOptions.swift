internal import ArgumentParser
internal import Foundation
internal import Postgres
internal import ReadModels
internal import SQLProjections

/// Which version of a projection in SQL: a folder's, or one whose files the database keeps.
struct StoredProjectionOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "The projection's folder; or its name, for the files that the database keeps.", valueName: "dir|name"))
    var projection: String

    @Option(help: "The version, with a name (default: the live one).")
    var version: Int?

    func validate() throws {
        guard isFolder else { return try StoredVersion(name: projection, number: version).validate() }
        if version != nil { throw ValidationError("--version goes with a name: a folder says its version itself.") }
    }

    /// A projection.toml makes a folder; other texts with a slash are mistyped ones.
    private var isFolder: Bool {
        projection.contains("/") || FileManager.default.fileExists(atPath: projection + "/projection.toml")
    }

    /// The version with what runs it.
    func target(_ postgres: PostgresConfiguration) async throws -> RebuildTarget {
        if isFolder { return try await RebuildTarget(folder: projection, postgres) }
        let number = try await StoredVersion(name: projection, number: version).resolved(postgres)
        return try await RebuildTarget(stored: projection, version: number, postgres)
    }
}

/// A version that the database keeps, by the projection's name.
struct StoredVersion {
    let name: String
    /// nil for the live one.
    let number: Int?

    func validate() throws {
        guard ProjectionFolder.isName(name) else { throw ValidationError("\(name) is no name of a projection.") }
        if let number, !(1...9_999).contains(number) { throw ValidationError("--version is 1 to 9999.") }
    }

    /// The version's number.
    func resolved(_ postgres: PostgresConfiguration) async throws -> Int {
        if let number { return number }
        guard let live = try await Rebuild(FolderTables.readModel(named: name), postgres).policy().live else {
            throw CommandFailure("the database has no live version of \(name)", .configuration)
        }
        return live.version
    }
}
