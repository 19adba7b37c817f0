internal import ArgumentParser
public import Daemon
public import Postgres
internal import ProjectionPrograms
internal import Projections
internal import ReadModels
internal import SQLProjections
internal import SQLText
public import Settings
internal import StreamCore

/// The daemon `sql-projection`: maintains the read models that folders of SQL files define.
public enum SQLProjectionProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let folders: [ProjectionFolder]
        let isIsolated: Bool
        let readers: [String]
        let projection: ProjectionSettings

        public init(from reader: SettingsReader) {
            let section = reader.section("sql_projections", "The folders of SQL files that this daemon runs.")
            let paths = section.strings(
                "folders", default: [],
                """
                Paths of the projections' folders. Each folder has a projection.toml, a schema.sql and SQL files.
                """)
            isIsolated = section.boolean(
                "isolate", default: true,
                """
                Whether each version runs its statements as a database role of its own. The role owns the schema of \
                the version and may write to no other schema. It has the name of the schema. The daemon creates it at \
                the first start and needs CREATEROLE for that, unless an administrator has created the role and \
                granted it to the user.
                """)
            readers = section.strings(
                "readers", default: [],
                """
                Database roles that may read the tables of all versions and the views of the live one, such as the \
                role of [sql_queries]. They must exist. A role that you remove from the list keeps its rights until \
                you REVOKE them.
                """)
            var folders: [ProjectionFolder] = []
            for path in paths {
                do {
                    folders.append(try ProjectionFolder(path: path))
                } catch {
                    for problem in error.problems { section.reject("folders", "\(problem)") }
                }
            }
            for name in Set(folders.map(\.schemaName)) where folders.count(where: { $0.schemaName == name }) > 1 {
                section.reject("folders", "two folders describe the same projection and version, \(name)")
            }
            self.folders = folders
            projection = ProjectionSettings(from: reader, consumer: nil)
        }

        public static var reloadableKeys: [String] { ProjectionSettings.reloadableKeys }

        public func adopt(_ reloaded: Self) { projection.adopt(reloaded.projection) }
    }

    public struct Options: DaemonOptions {
        @Option(
            name: .customLong("projection"), parsing: .singleValue,
            help: ArgumentHelp(
                "Run this projection's folder, and none that the configuration names; may be repeated.",
                valueName: "dir"))
        var folders: [String] = []

        public init() {}

        public func validate() throws {
            for folder in folders where folder.isEmpty || folder.contains(",") {
                throw ValidationError(
                    """
                    --projection \(folder): the option takes no empty name and no comma; use sql_projections.folders \
                    in the file.
                    """)
            }
        }

        public var settings: [String] {
            folders.isEmpty ? [] : ["sql_projections.folders=" + folders.joined(separator: ",")]
        }
    }

    public static let name = "sql-projection"
    public static let abstract = "Maintains the read models that folders of SQL files define, from events in Kafka."
    public static let operationsPort = 9_406
    public static let worksByDefault = false
    public static let metricHelp = ProjectionMetrics.help

    public static func migrationSets(for feature: Feature) -> [String] { ["projections", "sql-projections"] }

    public static func measuredTables(for feature: Feature) -> MeasuredTables {
        var tables = MeasuredTables.ofRunners
        tables.schemas = "SELECT schema_name FROM sql_projections"
        return tables
    }

    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] {
        let empty = feature.folders.isEmpty ? ["sql_projections.folders is empty, so there is nothing to run"] : []
        for folder in feature.folders {
            try await VersionSchema(folder, isIsolated: feature.isIsolated).checkRole(on: connection)
        }
        return empty + (try await PartitionOwnership.notes(on: connection))
    }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        guard !feature.folders.isEmpty else { throw NoFolders() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for folder in feature.folders {
                group.addTask { try await run(folder, feature, in: context) }
            }
            // If one projection ends because continuing makes no sense, all end.
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private static func run(_ folder: ProjectionFolder, _ feature: Feature, in context: DaemonContext) async throws {
        let version = VersionSchema(folder, isIsolated: feature.isIsolated, readers: feature.readers)
        var settings = feature.projection
        settings.configuration = settings.configuration(of: folder.name, order: folder.order)
        let service = settings.configuration.service
        try await VersionedDaemon(
            VersionedProjection(version.readModel, only: version.projection), version: folder.version, settings,
            in: context,
            preparation: VersionedDaemon.Preparation {
                try await make(version, service, in: context)
            } check: {
                try await PostgresConnection.with(context.postgres) { try await version.prepare($0) }
            }
        ).run()
    }

    /// Creates a version. The first version of its read model becomes live at once. Any other version is built while
    /// the live one is used.
    private static func make(_ version: VersionSchema, _ service: String, in context: DaemonContext) async throws {
        let first = try await PostgresConnection.with(context.postgres) {
            try await version.readModel.makeFirst(on: $0)
        }
        if first != nil { return }
        var reading = Rebuild.Reading(topics: version.projection.topics)
        reading.service = service
        do {
            _ = try await Rebuild(version.readModel, context.postgres).start(reading, kafka: context.kafka)
        } catch let refusal as RebuildRefusal where [.alreadyBuilding, .notNewer].contains(refusal.code) {
            // Another process was faster. The table of versions determines what to do now.
        }
    }
}

/// No folders are configured.
struct NoFolders: Error, RemediableError, CustomStringConvertible {
    var remedy: Remedy { .changeSetup }
    let description = "sql_projections.folders is empty, so there is nothing to run"
}
