internal import ArgumentParser
internal import CommandSupport
internal import Foundation
internal import Postgres
internal import SQLProjections

/// `millrace projection show`.
struct ShowFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows the files of a version that are stored in the database.",
        discussion: """
            sql-projection stores projection.toml and the files of SQL with each version. The command shows these \
            files. Cases and queries are not a part of a version and are not stored.

            Exit codes: 0 done · 1 the new folder already exists · 64 wrong usage · 69 the database cannot be reached \
            or refuses · 78 the database does not have the version or its files.
            """)

    @Argument(help: ArgumentHelp("The projection's name.", valueName: "name"))
    var name: String

    @Option(help: "The version (default: the live one).")
    var version: Int?

    @Option(help: ArgumentHelp("Writes the files into this new folder instead of printing them.", valueName: "dir"))
    var to: String?

    @OptionGroup var database: DatabaseOptions

    private var stored: StoredVersion { StoredVersion(name: name, number: version) }

    func validate() throws { try stored.validate() }

    func run() async throws {
        let postgres = try database.configuration(applicationName: "millrace-projection")
        let number = try await stored.resolved(postgres)
        let files = try await PostgresConnection.with(postgres) {
            try await StoredFolder.files(name, version: number, on: $0)
        }
        guard let to else { return print(Self.text(files)) }
        guard !FileManager.default.fileExists(atPath: to) else {
            throw CommandFailure("\(to) already exists: use another folder.", .failure)
        }
        let folder = URL(filePath: to)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for file in files.files { try Data(file.text.utf8).write(to: folder.appending(path: file.name)) }
        print("wrote version \(number) of \(name) to \(to)")
    }

    /// The files one after the other. A line with name and digest precedes each file.
    static func text(_ files: FolderFiles) -> String {
        files.files.map { file in
            let digest = file.digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            return "-- \(file.name) sha256:\(digest)\n" + file.text + (file.text.hasSuffix("\n") ? "" : "\n")
        }.joined(separator: "\n")
    }
}
