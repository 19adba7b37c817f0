internal import ArgumentParser
internal import CommandSupport
internal import OrderShop
internal import SQLProjections
internal import SQLText

/// `millrace dev`: runs the whole system on this machine, without servers of the user.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract:
            "Runs all of Millrace on this machine: a private PostgreSQL, a private Kafka, the daemons, and optionally a load.",
        discussion: """
            The folder --data keeps the database and all other state for the next start. Kafka is librdkafka's mock \
            cluster in memory. It keeps about 5 MiB of a partition and loses all records when this command ends. No \
            event is lost: the outbox keeps its rows until the order summary has applied them, and the relay \
            publishes them to the new cluster.

            With --broker, Kafka is the broker noida-db (`pip install noida-db`) instead. It keeps its records in the \
            folder for the next start.

            With DATABASE_URL or KAFKA_BOOTSTRAP_SERVERS set, those servers are used instead.

            The load simulates orders. With --projection it also simulates those of products, inventory, customers and \
            accounts whose events the folders read.

            The command ends on Ctrl-C, after --duration, or when all --orders are complete. A second Ctrl-C ends it \
            at once. With --verify the exit code is that of `millrace verify`.
            """)

    @Option(help: "Folder for all state.")
    var data = DefaultFolder.path()

    @Option(help: ArgumentHelp("Creates this number of new orders a second; 0 for the maximum.", valueName: "rate"))
    var load: Double?

    @OptionGroup var shop: ShopOptions

    @Option(help: "Ends when this number of orders is complete (implies --load 50).")
    var orders: Int?

    @Option(help: "Ends after this time.")
    var duration: DurationArgument?

    @Flag(help: "At the end, waits until all events are applied and compares the read model with the write model.")
    var verify = false

    @Flag(help: "Runs a broker that keeps its records, noida-db, instead of the mock cluster.")
    var broker = false

    @Flag(help: "With DATABASE_URL and the mock cluster: deletes the offsets of another cluster from that database.")
    var resetOffsets = false

    @Option(
        name: .customLong("projection"), parsing: .singleValue,
        help: ArgumentHelp(
            "Also runs this folder of SQL files, and answers its queries; may be repeated.", valueName: "dir"))
    var projections: [String] = []

    @Option(help: "Number of partitions of each new topic.")
    var partitions: Int32 = 12

    func validate() throws {
        try shop.validate()
        guard load ?? 0 >= 0 else { throw ValidationError("--load must not be negative.") }
        guard orders ?? 1 >= 1 else { throw ValidationError("--orders must be at least 1.") }
        guard (1...1_000).contains(partitions) else { throw ValidationError("--partitions must be 1 to 1000.") }
    }

    func run() async throws {
        var plan = DevSession.Plan(folder: data)
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
        if let rate = load ?? (orders == nil ? nil : 50) { play(at: rate, in: &plan) }
        try await DevSession(plan).run()
    }

    /// Adds the load: orders, and other aggregates that the SQL projections read.
    private func play(at rate: Double, in plan: inout DevSession.Plan) {
        let topics = Set(plan.projections.flatMap(\.topics))
        var configuration = shop.configuration
        configuration.ordersPerSecond = rate
        configuration.orders = orders
        configuration.playsCatalogue = !topics.isDisjoint(with: ShopLoad.catalogueTopics)
        plan.load = configuration
        guard topics.contains(BankLoad.topic) else { return }
        var bank = BankLoad.Configuration()
        bank.seed = configuration.seed
        bank.connections = 1
        bank.movementsPerSecond = rate == 0 ? 50 : rate / 5
        plan.bank = bank
    }
}
