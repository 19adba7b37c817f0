internal import ArgumentParser
internal import CommandSupport
internal import Postgres
internal import ProjectionCommands
internal import ProjectionPrograms
internal import ReadModels
internal import SQLProjections
internal import StreamCore
internal import Verification

/// `millrace rebuild promote`.
struct PromoteRebuild: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote",
        abstract: "Verifies the version that is being built, and makes it the live version.",
        discussion: """
            The command or daemon that fills the version must run, because the version must overtake the live one, which \
            stops for a moment. Readers wait less than 50 ms. If a reader holds its lock for longer, the command tries \
            again. Then the daemons maintain the new version. The previous version stays until `retire`.

            A version in SQL is verified by a replay: the topics are read again, and the statements of its folder are \
            applied to other tables. With a name, the command uses the files in the database. With --projection DIR it \
            uses the files of the folder, which must be the same.

            \(RebuildCommand.exitCodes)
            """)

    @OptionGroup var options: RebuildOptions
    @OptionGroup var kafka: KafkaOptions

    @Option(
        parsing: .unconditional,
        help: "Suffix of the events' topics, as the relay's setting topic_suffix.")
    var topicSuffix = "-events"

    @Option(help: "The write model's database, if it differs from --database.")
    var writeDatabase: String?

    @Option(help: "The write model's schema (default: that of the read model).")
    var writeSchema: String?

    @Option(
        help: ArgumentHelp(
            "Maximum time until the version has overtaken the live one and readers have released their locks.",
            valueName: "time"))
    var wait = DurationArgument(.seconds(30))

    @Flag(help: "Promotes without a verification: for a version that begins later than the topics, for example.")
    var force = false

    func validate() throws {
        if let writeDatabase { try Endpoints.refusePassword(inURL: writeDatabase, of: "--write-database") }
    }

    func run() async throws {
        let target = try await force ? options.resolved() : options.resolvedWithFiles()
        let rebuild = target.rebuild
        if !force { try await verify(target) }
        let promotion = try await rebuild.promote(isForced: force, waitingUpTo: wait.duration)
        let milliseconds = Double(promotion.blockedFor.components.attoseconds / 1_000_000_000_000) / 1_000
        print(
            """
            \(promotion.version) is live; readers waited for \(milliseconds) ms at \
            most\(promotion.attempts > 1 ? ", at attempt \(promotion.attempts)" : "")
            """)
    }

    private func verify(_ target: RebuildTarget) async throws {
        // If the promotion is refused for another reason, report that before reading topics.
        let version = try await target.rebuild.policy().promotion(isForced: true)
        if let schema = target.version {
            try await replay(schema, version, target)
        } else {
            try await compare(version, target.model, target.postgres)
        }
        try await target.rebuild.noteVerified(version)
        StandardError.write("millrace: \(version) matches the events\n")
    }

    private func differs(_ version: ModelVersion) -> CommandFailure {
        CommandFailure(
            "the verification did not find \(version) equal to the events, so it is not promoted (see --force)",
            .failure)
    }

    /// Applies all events of a version again, with the statements of its folder, and compares the rows.
    private func replay(_ schema: VersionSchema, _ version: ModelVersion, _ target: RebuildTarget) async throws {
        let kafka = try kafka.configuration(clientID: "millrace-rebuild")
        let tables = try await FolderReplay(schema, target.postgres, kafka: kafka).run()
        guard tables.allSatisfy(\.isEqual) else {
            StandardError.write(ReplayReport(tables).text + "\n")
            throw differs(version)
        }
    }

    /// Compares a version of a built-in projection with its events.
    private func compare(
        _ version: ModelVersion, _ model: ReadModel, _ postgres: PostgresConfiguration
    ) async throws {
        var writeModel = postgres
        if let writeDatabase {
            writeModel = try PostgresConfiguration(url: writeDatabase)
            writeModel.schema = postgres.schema
        }
        if let writeSchema { writeModel.schema = writeSchema }
        writeModel.access = .any
        var configuration = VerificationConfiguration(
            writeModel: writeModel, readModel: model.tables.sees(postgres, version.schema),
            kafka: try kafka.configuration(clientID: "millrace-rebuild"))
        configuration.topicSuffix = topicSuffix
        configuration.versions = [version.name: version.version]
        let verdict = try await Verification(configuration).run().only(ofReadModel: version.name)
        guard verdict.decision == .equal, !verdict.comparisons.isEmpty else {
            StandardError.write(VerificationReport(verdict).text + "\n")
            throw differs(version)
        }
    }
}
