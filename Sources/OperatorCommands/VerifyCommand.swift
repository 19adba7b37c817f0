internal import ArgumentParser
internal import Foundation
internal import Postgres
internal import Verification

/// `millrace verify`: are the read models what the events say, and do the topics hold what the write model says?
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compares the read models with the events, and the topics with the write model; also under load.",
        discussion: """
            Reads order_summary, the dashboard and their offsets in one snapshot, folds the events below those \
            offsets, and compares every business column. Then compares each order of the write model with its events in the \
            topics and the outbox, so that a lost event is found. What is under way is counted, and is no difference. \
            The dashboard is left out where its views are not.

            Where Kafka no longer has the oldest events, the read models are compared with the write model and the \
            events since; orders with events under way are then left out, so give --wait.

            Holds a snapshot of each database open while it runs: on large ones, run it when vacuum can wait.

            Exit code 0 when equal, 1 when something differs, 2 when nothing differs but something could not be \
            compared, 69 when PostgreSQL or Kafka does not answer.
            """)

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @OptionGroup var database: DatabaseOptions

    @Option(help: "The read model's database, when it is another one.")
    var readDatabase: String?

    @Option(help: "The read model's schema (default: that of the write model).")
    var readSchema: String?

    @OptionGroup var kafka: KafkaOptions

    // Its own default begins as an option does.
    @Option(
        parsing: .unconditional,
        help: "Ends the names of the events' topics, as the relay's setting of that name.")
    var topicSuffix = "-events"

    @Flag(help: "Compares the tables alone, without Kafka. Right only while nothing is under way.")
    var tablesOnly = false

    @Flag(help: "Does not expect the topics to hold all events: for a Kafka that was replaced by an empty one.")
    var incompleteHistory = false

    @Option(
        help: ArgumentHelp(
            "Waits until nothing is under way of what was committed when the command began, or this time is over.",
            discussion: "The verdict is true either way; with time, less is left out.", valueName: "time"))
    var wait = DurationArgument(.zero)

    @Option(
        help:
            "Orders to keep in memory at once, at about 2 kB each; with more orders, the topics are read several times."
    )
    var ordersInMemory = 200_000

    @Option(help: "How many differences to show, of each table or view.")
    var examples = 10

    @Option(name: .shortAndLong, help: "text, or json: one document.")
    var output = Output.text

    func validate() throws {
        if let readDatabase { try Endpoints.refusePassword(inURL: readDatabase, of: "--read-database") }
        guard examples >= 0 else { throw ValidationError("--examples is not negative.") }
        guard (1...100_000_000).contains(ordersInMemory) else {
            throw ValidationError("--orders-in-memory is 1 to 100000000.")
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
        if incompleteHistory || Endpoints.value(of: Endpoints.incompleteHistoryName) != nil {
            configuration.incompleteHistory = Endpoints.incompleteHistory
        }
        configuration.ordersInMemory = ordersInMemory
        configuration.exampleLimit = examples
        let verdict = try await Verification(configuration).run(waitingUpTo: wait.duration)
        let report = VerificationReport(verdict)
        print(output == .text ? report.text : try report.json)
        if let code = report.exitCode { throw code }
    }
}
