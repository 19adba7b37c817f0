internal import ArgumentParser
internal import CommandSupport
internal import Postgres
internal import SQLProjections
internal import SQLText

/// `millrace projection adopt`.
struct AdoptFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt",
        abstract: "Lets a version continue with changed statements, without a rebuild.",
        discussion: """
            sql-projection refuses a folder whose files differ from those of its version in the database. Use this \
            command if a change need not affect events that were applied before, for example the correction of a \
            statement that failed for some events. It replaces the files in the database by the files of the folder. \
            First stop the daemons that run the old files, and afterwards start them with the new files. A changed \
            schema.sql always requires a new version.

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
                    ? "version \(folder.version) of \(folder.name) already has these files"
                    : "version \(folder.version) of \(folder.name) now has the changed files: "
                        + changed.joined(separator: ", "))
        } catch let error as VersionSchema.Refusal {
            throw CommandFailure(error.description, .configuration)
        } catch let error as InvalidFolder {
            throw CommandFailure(error.description, .configuration)
        }
    }
}
