internal import ArgumentParser
internal import Catalog
internal import CommandSupport
internal import Daemon
internal import Foundation
internal import Inspection
internal import Migrations
internal import Postgres
internal import SQLProjections
internal import SQLText

/// Names the daemons of an installation, for commands that depend on them.
struct InstallationOptions: ParsableArguments {
    @Option(
        name: .customLong("daemon"),
        help: ArgumentHelp("A daemon of this installation; may be repeated.", valueName: "name"))
    var daemons: [String] = []

    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            """
            The folder with the configuration files of these daemons, NAME.toml each. Without it, the default settings \
            are used.
            """, valueName: "dir"))
    var folder: String?

    func validate() throws {
        for name in daemons where Catalog.daemon(named: name) == nil {
            let names = Catalog.daemons.map(\.name).joined(separator: ", ")
            throw ValidationError("There is no daemon \(name). Daemons: \(names).")
        }
        guard folder == nil || !daemons.isEmpty else { throw ValidationError("--config requires --daemon.") }
    }

    /// The daemons, in the order of a record's path.
    var chosen: [CatalogDaemon] { Catalog.daemons.filter { daemons.contains($0.name) } }

    /// The migration sets that these daemons need, in the order in which they are applied. Empty without daemons.
    ///
    /// - Throws: `InvalidSettings`; ``CommandFailure`` if the folder lacks the file of a daemon.
    func migrationSets() throws -> [String] {
        var sets: [String] = []
        for daemon in chosen {
            for set in try migrationSets(of: daemon) where !sets.contains(set) { sets.append(set) }
        }
        return sets
    }

    private func migrationSets(of daemon: CatalogDaemon) throws -> [String] {
        guard let folder else { return daemon.migrationSets }
        let file = "\(folder)/\(daemon.name).toml"
        guard FileManager.default.fileExists(atPath: file) else {
            throw CommandFailure(
                "\(file) does not exist; without --config the default settings are used", .configuration)
        }
        return try daemon.migrationSets(file: file, environment: ProcessInfo.processInfo.environment)
    }
}

/// The parts of an installation: the applied migration sets, the existing projections, and the daemons that can use
/// them.
struct Installation {
    /// The live version of a projection in SQL.
    struct SQLProjection {
        let name: String
        let topics: [String]
        let letterTopics: [String]
        /// Whether commands apply it. It then needs no daemon.
        let isInline: Bool
    }

    /// The migration sets with at least one applied file.
    var appliedSets: Set<String> = []
    var sqlProjections: [SQLProjection] = []

    /// Reads the parts from the database.
    ///
    /// - Returns: an empty installation if the database has no tables of Millrace.
    static func read(
        _ postgres: PostgresConfiguration, on connection: PostgresConnection
    ) async throws -> Installation {
        var installation = Installation()
        installation.appliedSets = try await Migrator(postgres).appliedSets()
        let inline = try await StoredFolder.inline(on: connection)
        for (name, version) in try await StoredFolder.live(on: connection) {
            // Without the stored files, the topics of the projection are unknown.
            let folder = try? await StoredFolder.load(name, version: version, on: connection)
            installation.sqlProjections.append(
                SQLProjection(
                    name: name, topics: folder?.topics ?? [], letterTopics: folder?.letterTopics ?? [],
                    isInline: inline.contains(name)))
        }
        return installation
    }

    /// The expectations of checks for this installation.
    ///
    /// - Parameters:
    ///   - named: the daemons that the operator named. Only these are expected then. If there are none, the daemons
    ///     that can use the database are expected.
    ///   - sets: the migration sets that the named daemons need.
    func expectations(named: [CatalogDaemon], needing sets: [String]) -> Expectations {
        var expected = Expectations()
        expected.migrationSets = appliedSets.union(sets).sorted()
        let daemons = named.isEmpty ? Catalog.daemons(using: appliedSets) : named
        let isRequired = { (daemon: CatalogDaemon) in
            !named.isEmpty || !daemon.isOptional && daemon.worksByDefault
                || daemon.name == Catalog.sqlProjections && sqlProjections.contains { !$0.isInline }
        }
        expected.programs = daemons.filter(isRequired).map(\.name)
        expected.optionalPrograms = daemons.filter { !isRequired($0) }.map(\.name)
        let consumers = daemons.flatMap(\.consumers)
        expected.eventTopics = unique(consumers.flatMap(\.topics) + sqlProjections.flatMap(\.topics))
        expected.letterTopics = unique(
            daemons.filter { isRequired($0) || !$0.isOptional }.flatMap(\.consumers).flatMap(\.letterTopics)
                + sqlProjections.filter { !$0.isInline }.flatMap(\.letterTopics))
        return expected
    }

    private func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }
}
