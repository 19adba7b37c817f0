internal import ArgumentParser
internal import CommandSupport
internal import Foundation
internal import Postgres
internal import Verification

/// `millrace verify`: compares the read models with the events, and the topics with the write model.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compares the read models with the events, and the topics with the write model; also under load.",
        discussion: """
            It verifies what the database has. Without the demo shop, these are the projections in SQL, and the events \
            in transit: in the outbox, in Kafka, and parked.

            Of orders, the command reads order_summary, the dashboard and their offsets in one snapshot. It folds the \
            events below those offsets and compares every business column. Then it compares each order of the write \
            model with its events in the topics and the outbox, to find lost events. Events in transit are counted and \
            are not a difference.

            Projections in SQL are verified by a replay: the topics are read again, and the statements are applied to \
            other tables, in short transactions. Without --projection these are the live versions in the read model's \
            database, with the files that it stores.

            If Kafka no longer has the oldest events, the read models are compared with the write model and the later \
            events. Orders with events in transit are then left out, so use --wait.

            The command keeps a snapshot of each database open, so vacuum cannot remove rows that are deleted \
            meanwhile. On a large database, run it at a time with few changes.

            Exit codes: 0 equal · 1 there are differences · 2 no differences, but a part could not be compared · 69 \
            PostgreSQL or Kafka does not answer · 78 the database has nothing to verify.
            """)

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @OptionGroup var database: DatabaseOptions

    @Option(
        name: .customLong("projection"), parsing: .singleValue,
        help: ArgumentHelp(
            "Verifies only the projection in SQL of this folder, and those of further --projection.",
            valueName: "dir"))
    var folders: [String] = []

    @Flag(help: "Does not verify projections in SQL.")
    var builtIn = false

    @Option(help: "The read model's database, if it differs from --database.")
    var readDatabase: String?

    @Option(help: "The read model's schema (default: that of the write model).")
    var readSchema: String?

    @OptionGroup var outbox: OutboxNameOptions
    @OptionGroup var kafka: KafkaOptions

    // The default value begins with a hyphen, like an option.
    @Option(
        parsing: .unconditional,
        help: "Suffix of the events' topics, as the relay's setting topic_suffix.")
    var topicSuffix = "-events"

    @Flag(help: "Compares only the tables, without Kafka. The result is correct only while no events are in transit.")
    var tablesOnly = false

    @Flag(help: "Accepts topics without the oldest events, for a Kafka cluster that was replaced by an empty one.")
    var incompleteHistory = false

    @Option(
        help: ArgumentHelp(
            "Waits until all events committed before the start are applied, at most this time.",
            discussion: "The result is correct with and without it. With a longer time, fewer orders are left out.",
            valueName: "time"))
    var wait = DurationArgument(.zero)

    @Option(
        help:
            "Maximum number of orders in memory, about 2 kB each. With more orders, the topics are read several times."
    )
    var ordersInMemory = 200_000

    @Option(help: "Maximum number of differences to show for each table or view.")
    var examples = 10

    @Option(name: .shortAndLong, help: "text, or json: one document.")
    var output = Output.text

    func validate() throws {
        if let readDatabase { try Endpoints.refusePassword(inURL: readDatabase, of: "--read-database") }
        guard folders.isEmpty || !(builtIn || tablesOnly) else {
            throw ValidationError("--projection cannot be combined with --built-in or --tables-only.")
        }
        guard examples >= 0 else { throw ValidationError("--examples must not be negative.") }
        guard (1...100_000_000).contains(ordersInMemory) else {
            throw ValidationError("--orders-in-memory must be 1 to 100000000.")
        }
    }

    func run() async throws {
        let writeModel = try database.configuration(applicationName: "millrace-verify", access: .any)
        var readModel = writeModel
        if let readDatabase {
            readModel = try PostgresConfiguration(url: readDatabase)
            readModel.schema = database.schema
            readModel.access = .any
            readModel.applicationName = writeModel.applicationName
        }
        if let readSchema { readModel.schema = readSchema }
        var configuration = VerificationConfiguration(
            writeModel: writeModel, readModel: readModel,
            kafka: tablesOnly ? nil : try kafka.configuration(clientID: "millrace-verify"))
        configuration.topicSuffix = topicSuffix
        (configuration.outbox, configuration.failedOutbox) = (outbox.table, outbox.failedTable)
        if incompleteHistory || Endpoints.value(of: Endpoints.incompleteHistoryName) != nil {
            configuration.incompleteHistory = Endpoints.incompleteHistory
        }
        configuration.ordersInMemory = ordersInMemory
        configuration.exampleLimit = examples
        var verdict = try await Verification(configuration).run(waitingUpTo: wait.duration)
        if let kafka = configuration.kafka {
            let folders = FolderVerification(
                readModel: readModel, kafka: kafka, incompleteHistory: configuration.incompleteHistory,
                exampleLimit: examples)
            verdict = verdict.with(try await folders.comparisons(of: selection))
        }
        let report = VerificationReport(verdict)
        print(output == .text ? report.text : try report.json)
        if let code = report.exitCode { throw code }
    }

    private var selection: FolderVerification.Selection {
        if builtIn { return .none }
        return folders.isEmpty ? .registered : .folders(folders)
    }
}
