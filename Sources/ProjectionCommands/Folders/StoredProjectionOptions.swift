internal import ArgumentParser
internal import CommandSupport
internal import Foundation
internal import Postgres
internal import ReadModels
internal import SQLProjections

/// Selects a version of an SQL projection: that of a folder, or one whose files the database stores.
struct StoredProjectionOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "The projection's folder; or its name, for the files that the database keeps.", valueName: "dir|name"))
    var projection: String

    @Option(help: "The version. It requires a name (default: the live version).")
    var version: Int?

    func validate() throws {
        guard isFolder else { return try StoredVersion(name: projection, number: version).validate() }
        if version != nil {
            throw ValidationError("--version requires a name. A folder contains its version in projection.toml.")
        }
    }

    /// A path with projection.toml is a folder. Any other text with a slash is a folder with a wrong name.
    private var isFolder: Bool {
        projection.contains("/") || FileManager.default.fileExists(atPath: projection + "/projection.toml")
    }

    /// The selected version.
    func resolved(_ postgres: PostgresConfiguration) async throws -> VersionSchema {
        if isFolder { return try await VersionSchema(folder: projection, postgres) }
        let number = try await StoredVersion(name: projection, number: version).resolved(postgres)
        return try await VersionSchema(stored: projection, version: number, postgres)
    }
}

/// A version whose files the database stores, by the projection's name.
struct StoredVersion {
    let name: String
    /// The number; nil for the live version.
    let number: Int?

    func validate() throws {
        guard ProjectionFolder.isName(name) else {
            throw ValidationError("\(name) is not a valid name of a projection.")
        }
        if let number, !(1...9_999).contains(number) { throw ValidationError("--version must be 1 to 9999.") }
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
