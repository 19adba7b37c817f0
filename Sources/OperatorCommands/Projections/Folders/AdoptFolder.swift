internal import ArgumentParser
internal import Postgres
internal import SQLProjections
internal import SQLText

/// `millrace projection adopt`.
struct AdoptFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt",
        abstract: "Lets a version run with changed statements, without building it anew.",
        discussion: """
            sql-projection refuses a folder whose files are not those that its version is run with. Where a change \
            need not reach what was applied before, such as a statement that failed for some events, this command \
            records the folder's files instead of those before. Stop the daemons that run the old files first, and \
            start them with the new ones. A changed schema.sql always needs a new version.

            Exit codes: 0 done · 64 wrong usage · 69 the database cannot be reached or refuses · 78 the folder cannot \
            be used.
            """)

    @Argument(help: ArgumentHelp("The projection's folder.", valueName: "dir"))
    var path: String

    @OptionGroup var database: DatabaseOptions

    func run() async throws {
        let folder: ProjectionFolder
        do {
            folder = try ProjectionFolder(path: path)
        } catch {
            throw CommandFailure(error.description, .configuration)
        }
        let configuration = try database.configuration(applicationName: "millrace-projection")
        do {
            let changed = try await PostgresConnection.with(configuration) {
                try await VersionSchema(folder, isIsolated: true).adopt($0)
            }
            print(
                changed.isEmpty
                    ? "version \(folder.version) of \(folder.name) is run with these files already"
                    : "version \(folder.version) of \(folder.name) is run with these from now on: "
                        + changed.joined(separator: ", "))
        } catch let error as VersionSchema.Refusal {
            throw CommandFailure(error.description, .configuration)
        } catch let error as InvalidFolder {
            throw CommandFailure(error.description, .configuration)
        }
    }
}
