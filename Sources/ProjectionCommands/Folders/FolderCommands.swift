internal import ArgumentParser
internal import CommandSupport
internal import EmbeddedPostgres
internal import Foundation
internal import Migrations
internal import Postgres
internal import SQLProjections
internal import SQLText

/// `millrace projection new`.
struct NewFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Creates a folder for a new projection in SQL, with comments and a test case.")

    @Argument(help: ArgumentHelp("The folder to create. Its last part is the projection's name.", valueName: "dir"))
    var path: String

    func run() async throws {
        let folder = URL(filePath: path)
        guard !FileManager.default.fileExists(atPath: folder.path) else {
            throw CommandFailure("\(path) already exists: use another folder.", .failure)
        }
        for (name, text) in FolderTemplate.files(name: folder.lastPathComponent.lowercased()) {
            let file = folder.appending(path: name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        print("created \(path); next: millrace projection test \(path)")
    }
}

/// `millrace projection test`.
struct TestFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Runs a folder's cases: events in, rows out.",
        discussion: "A case is a file tests/NAME.toml. \(FolderOptions.discussion)")

    @OptionGroup var options: FolderOptions

    func run() async throws {
        try await options.run { try await $0.test() }
    }
}

/// `millrace projection check`.
struct CheckFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks that the rows do not depend on the order and the batches in which events arrive.",
        discussion: """
            The command applies the events of each case in many orders that keep the order of each key. It uses \
            batches from one event to all events, and also rolls batches back and applies them again. If the rows \
            differ, it shows the smallest sequence of events that leads to different rows. \(FolderOptions.discussion)
            """)

    @OptionGroup var options: FolderOptions

    @Option(help: "Number of orders to try for each case.")
    var ways = 200

    @Option(help: "Seed of the random orders. The same seed gives the same orders.")
    var seed: UInt64 = 1

    func validate() throws {
        if ways < 1 || ways > 1_000_000 { throw ValidationError("--ways must be 1 to 1000000.") }
    }

    func run() async throws {
        try await options.run { try await $0.check(count: ways, seed: seed) }
    }
}

/// `millrace projection explain`.
struct ExplainFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Shows how PostgreSQL runs each statement on filled tables.",
        discussion:
            "The command names each table that a statement can only read completely. \(FolderOptions.discussion)")

    @OptionGroup var options: FolderOptions

    @Option(help: "How often the events of the cases are applied, each time to different aggregates.")
    var copies = 500

    func validate() throws {
        if copies < 1 || copies > 1_000_000 { throw ValidationError("--copies must be 1 to 1000000.") }
    }

    func run() async throws {
        try await options.run { try await $0.explain(copies: copies) }
    }
}

/// The folder of a command, which runs on a temporary database.
struct FolderOptions: ParsableArguments {
    static let discussion = """
        The command starts a temporary PostgreSQL for the folder and removes it at the end.

        Exit codes: 0 no problem · 1 something differs · 64 wrong usage · 69 no PostgreSQL can be started · 78 the \
        folder cannot be used.
        """

    @Argument(help: ArgumentHelp("The projection's folder.", valueName: "dir"))
    var path: String

    /// Prints the results of a trial.
    ///
    /// - Throws: exit code 1 if a result is not good.
    func run(_ trial: (FolderTrial) async throws -> [FolderTrial.Finding]) async throws {
        let folder: ProjectionFolder
        do {
            folder = try ProjectionFolder(path: path)
        } catch {
            throw CommandFailure(error.description, .configuration)
        }
        let findings: [FolderTrial.Finding]
        do {
            findings = try await TrialDatabase.run { try await trial(FolderTrial(folder, on: $0)) }
        } catch let error as InvalidFolder {
            throw CommandFailure(error.description, .configuration)
        }
        guard !findings.isEmpty else {
            throw CommandFailure("\(path)/tests has no case: add tests/NAME.toml.", .configuration)
        }
        for finding in findings {
            print("\(finding.isGood ? "ok  " : "FAIL") \(finding.subject)")
            for line in finding.lines { print(line) }
        }
        if findings.contains(where: { !$0.isGood }) { throw ExitCode(1) }
    }
}

/// A private PostgreSQL server for a trial, in a temporary folder.
private enum TrialDatabase {
    static func run<Result>(_ body: (PostgresConnection) async throws -> Result) async throws -> Result {
        let path = NSTemporaryDirectory() + "millrace-trial-" + UUID().uuidString
        let server: PostgresServer
        do {
            server = try await PostgresServer.start(
                PostgresServerConfiguration(
                    folder: path, settings: PostgresServerConfiguration.withoutDurability, isTemporary: true))
        } catch {
            throw CommandFailure("cannot start a temporary PostgreSQL: \(error)", .unavailable)
        }
        let result: Swift.Result<Result, any Error>
        do {
            let configuration = try PostgresConfiguration(url: server.url)
            try await Migrator(configuration).up(["projections", "sql-projections"])
            result = .success(try await PostgresConnection.with(configuration) { try await body($0) })
        } catch {
            await server.stop(.immediate)
            throw error
        }
        await server.stop(.immediate)
        return try result.get()
    }
}
