internal import ArgumentParser
internal import OrderShop
internal import SQLProjections
internal import SQLText

/// `millrace dev`: everything on this machine, with no server of the user's.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Runs all of Millrace here: a private PostgreSQL, a private Kafka, the daemons, and a load if asked.",
        discussion: """
            The database and all else is kept in the folder --data and found again at the next start. Kafka is \
            librdkafka's mock cluster, in memory: it keeps about 5 MiB a partition and forgets everything when this \
            command ends. That loses nothing here, because the outbox keeps its rows until the order summary has \
            them, and a new cluster gets those again.

            With --broker, Kafka is the broker noida-db (`pip install noida-db`) instead, which keeps its records in \
            the folder, so that the history is there at the next start.

            With DATABASE_URL or KAFKA_BOOTSTRAP_SERVERS set, those servers are used instead.

            Ends at Ctrl-C, after --duration, or when all --orders are played; a second Ctrl-C ends it at once. With \
            --verify the exit code is that of `millrace verify`.
            """)

    @Option(help: "The folder to keep everything in.")
    var data = DevFolder.defaultPath()

    @Option(help: ArgumentHelp("Plays so many new orders a second; 0 for as many as go.", valueName: "rate"))
    var load: Double?

    @OptionGroup var shop: ShopOptions

    @Option(help: "Ends when so many orders are played to their end (implies --load 50).")
    var orders: Int?

    @Option(help: "Ends after this time.")
    var duration: DurationArgument?

    @Flag(help: "At the end, waits until all is projected and compares the read model with the write model.")
    var verify = false

    @Flag(help: "Runs a broker that keeps its records, noida-db, instead of the mock cluster.")
    var broker = false

    @Flag(help: "With DATABASE_URL and the mock: drops the offsets of another cluster that are in that database.")
    var resetOffsets = false

    @Option(
        name: .customLong("projection"), parsing: .singleValue,
        help: ArgumentHelp(
            "Runs this folder of SQL too, and answers its queries; may be repeated.", valueName: "dir"))
    var projections: [String] = []

    @Option(help: "Partitions of each topic that is made.")
    var partitions: Int32 = 12

    func validate() throws {
        try shop.validate()
        guard load ?? 0 >= 0 else { throw ValidationError("--load is not negative.") }
        guard orders ?? 1 >= 1 else { throw ValidationError("--orders is at least 1.") }
        guard (1...1_000).contains(partitions) else { throw ValidationError("--partitions is 1 to 1000.") }
    }

    func run() async throws {
        var plan = DevSession.Plan(folder: data)
        if let rate = load ?? (orders == nil ? nil : 50) {
            var configuration = shop.configuration
            configuration.ordersPerSecond = rate
            configuration.orders = orders
            plan.load = configuration
        }
        plan.duration = duration?.duration
        plan.verifies = verify
        plan.partitions = partitions
        plan.usesBroker = broker
        plan.resetsOffsets = resetOffsets
        do {
            plan.projections = try projections.map { path throws(InvalidFolder) in try ProjectionFolder(path: path) }
        } catch {
            throw CommandFailure(error.description, .configuration)
        }
        try await DevSession(plan).run()
    }
}
