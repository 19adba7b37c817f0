internal import ArgumentParser
internal import Catalog
internal import CommandSupport
internal import Postgres
internal import ProjectionCommands
internal import ProjectionPrograms
internal import ReadModels
internal import SQLProjections

/// Selects a read model: a built-in one by its name, or an SQL projection by its name or folder.
struct RebuildOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "The projection: \(names), or the name of one in SQL.", valueName: "projection"))
    var name: String?

    @Option(
        name: .customLong("projection"),
        help: ArgumentHelp("The folder of a projection in SQL, instead of its name.", valueName: "dir"))
    var folder: String?

    @OptionGroup var database: DatabaseOptions

    private static let names = Catalog.versioned.map(\.model.name).joined(separator: ", ")

    func validate() throws {
        guard (name == nil) != (folder == nil) else {
            throw ValidationError(
                "Name a projection (\(Self.names), or one in SQL), or give its folder by --projection.")
        }
        if let name, !ProjectionFolder.isName(name) {
            throw ValidationError("\(name) is not a valid name of a projection.")
        }
    }

    /// The arguments that select the same read model in the next command.
    var arguments: String { folder.map { "--projection \($0)" } ?? name ?? "" }

    /// The read model with its projection.
    func resolved() async throws -> RebuildTarget {
        let postgres = try database.configuration(applicationName: "millrace-rebuild")
        if let folder { return try await RebuildTarget(folder: folder, postgres) }
        let name = name ?? ""
        if let known = Catalog.versioned.first(where: { $0.model.name == name }) {
            return RebuildTarget(model: known.model, postgres: postgres, projection: known)
        }
        let target = RebuildTarget(model: FolderTables.readModel(named: name), postgres: postgres)
        guard try await target.rebuild.policy().versions.isEmpty else { return target }
        throw CommandFailure(
            "\(name) is none of \(Self.names), and the database has no projection in SQL of this name", .failure)
    }

    /// The read model with the projection of the version that is being built. If only the name of an SQL projection is
    /// given, its files come from the database.
    func resolvedWithFiles() async throws -> RebuildTarget {
        let target = try await resolved()
        guard target.projection == nil, let building = try await target.rebuild.policy().building else { return target }
        return try await RebuildTarget(stored: building.name, version: building.version, target.postgres)
    }
}

/// The read model of a command.
struct RebuildTarget {
    let model: ReadModel
    let postgres: PostgresConfiguration
    /// The projection that fills a version; nil for an SQL projection without its folder.
    var projection: VersionedProjection?
    /// The version that the given folder defines.
    var version: VersionSchema?

    init(model: ReadModel, postgres: PostgresConfiguration, projection: VersionedProjection? = nil) {
        self.model = model
        self.postgres = postgres
        self.projection = projection
    }

    init(folder path: String, _ postgres: PostgresConfiguration) async throws {
        self.init(try await VersionSchema(folder: path, postgres), postgres)
    }

    /// Creates the target for a version whose files the database stores.
    init(stored name: String, version: Int, _ postgres: PostgresConfiguration) async throws {
        self.init(try await VersionSchema(stored: name, version: version, postgres), postgres)
    }

    private init(_ version: VersionSchema, _ postgres: PostgresConfiguration) {
        model = version.readModel
        self.postgres = postgres
        projection = VersionedProjection(model, only: version.projection)
        self.version = version
    }

    var rebuild: Rebuild { Rebuild(model, postgres) }
}
