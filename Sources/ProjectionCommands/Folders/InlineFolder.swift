internal import ArgumentParser
internal import CommandSupport
internal import Postgres
internal import SQLProjections

/// `millrace projection inline`.
struct InlineFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inline",
        abstract: "Hands the live version of a projection over to command-service.",
        discussion: """
            From then on, command-service applies the version in the transactions of commands. A client that has the \
            answer to a command can therefore read the changed rows. The version's tables must be in the database of \
            the commands. All its events must come from command-service: events that another program writes into the \
            outbox are not applied.

            The relay and the version's daemon must be running. Commands wait until the relay has published all events \
            and the daemon has applied them, at most --wait seconds. Stop the daemon afterwards, because it has \
            nothing to apply any more. To return to a daemon, build a higher version and promote it.

            Exit codes: 0 done, or done before · 64 wrong usage · 69 a server cannot be reached or refuses · 78 the \
            version cannot be handed over.
            """)

    @OptionGroup var projection: StoredProjectionOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions

    @Option(help: "Suffix of the events' topics, as the relay's setting topic_suffix.")
    var topicSuffix = "-events"

    @Option(help: "Maximum time that commands wait, in seconds.")
    var wait = 3

    func validate() throws {
        if !(1...60).contains(wait) { throw ValidationError("--wait must be 1 to 60.") }
    }

    func run() async throws {
        let postgres = try database.configuration(applicationName: "millrace-projection")
        let kafka = try kafka.configuration(clientID: "millrace-projection")
        let version = try await projection.resolved(postgres)
        let takeover = InlineTakeover(version, postgres, kafka: kafka, topicSuffix: topicSuffix)
        let isNew = try await takeover.run(waitingUpTo: .seconds(wait))
        print("\(version.name) \(isNew ? "is applied by command-service from now on" : "was handed over before")")
    }
}
