internal import ArgumentParser
internal import CommandSupport
internal import Postgres
internal import SQLProjections

/// `millrace projection verify`.
struct VerifyFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compares a version's rows with the rows that its events should produce.",
        discussion: """
            The command reads the topics again up to the version's offsets, and applies the folder's statements to other \
            tables in short transactions. Meanwhile the version continues, and the command follows it. The comparison \
            at the end is one transaction, which reads the version's tables. Parked events are left out.

            Exit codes: 0 equal · 1 something differs, or the events cannot be applied again · 64 wrong usage · 69 a \
            server cannot be reached or refuses · 78 the folder is not that of a version in the database.
            """)

    @OptionGroup var projection: StoredProjectionOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions

    func run() async throws {
        let postgres = try database.configuration(applicationName: "millrace-verify")
        let kafka = try kafka.configuration(clientID: "millrace-verify")
        let version = try await projection.resolved(postgres)
        let tables = try await FolderReplay(version, postgres, kafka: kafka).run()
        print(ReplayReport(tables).text)
        guard tables.allSatisfy(\.isEqual) else { throw ExitCode(1) }
    }
}
