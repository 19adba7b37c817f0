import ArgumentParser
import Foundation

/// The project's benches. Each prints one line of JSON on standard output. All other output goes to standard error.
@main
struct MillraceBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "millrace-bench",
        abstract: "Measure the daemons on a private PostgreSQL with default durability and a mock cluster.",
        discussion: "KAFKA_BOOTSTRAP_SERVERS names a cluster to use instead. Benches: "
            + benches.map(\.name).joined(separator: ", ") + ".")

    @Argument(help: "Which benches to run; all but chaos-short and transfers when none is named.")
    var names: [String] = []

    @Option(help: "How often each bench runs; every run prints its own line.")
    var runs = 1

    @Option(help: "What chaos-short does, and when, follows from it.")
    var seed: UInt64 = 1

    @Option(help: "The results file, added to.")
    var results = ".millrace/bench.jsonl"

    static let benches = [
        Bench(name: RelayDrain.name, run: RelayDrain.run),
        Bench(name: RelayPinned.name, run: RelayPinned.run),
        Bench(name: RelayLatency.name, partitions: BenchServers.fewPartitions, run: RelayLatency.run),
        Bench(name: ProjectionCatchUp.name, run: ProjectionCatchUp.run),
        Bench(name: DashboardCatchUp.name, run: DashboardCatchUp.run),
        Bench(name: DashboardCatchUp.hotName, run: DashboardCatchUp.runHot),
        Bench(name: SQLProjectionBench.batch.name, run: SQLProjectionBench.batch.run),
        Bench(name: SQLProjectionBench.event.name, run: SQLProjectionBench.event.run),
        Bench(name: RebuildBench.name, run: RebuildBench.run),
        Bench(name: EndToEnd.name, partitions: BenchServers.fewPartitions, run: EndToEnd.run),
        Bench(name: Poison.undecodable.name, run: Poison.undecodable.run),
        Bench(name: Poison.inapplicable.name, run: Poison.inapplicable.run),
        Bench(name: LettersDrain.name, partitions: BenchServers.fewPartitions, run: LettersDrain.run),
        Bench(name: QueryByID.name, runAll: QueryByID.run),
        Bench(name: QuerySearch.name, runAll: QuerySearch.run),
        Bench(name: ProductSearchBench.name, runAll: ProductSearchBench.run),
        Bench(name: StreamBench.name, runAll: StreamBench.run),
        Bench(name: ReadYourWrite.name, runAll: ReadYourWrite.run),
        Bench(name: CommandBench.name, run: CommandBench.run),
        Bench(name: InlineCommandBench.name, partitions: BenchServers.fewPartitions, run: InlineCommandBench.run),
        Bench(name: CommandToRead.name, partitions: BenchServers.fewPartitions, run: CommandToRead.run),
        Bench(long: TransferBench.name, run: TransferBench.run),
        Bench(name: TailBench.name, runAll: TailBench.run),
        Bench(name: OperationsBench.name, partitions: BenchServers.fewPartitions, run: OperationsBench.run),
        Bench(chaos: ChaosShort.name, run: ChaosShort.run),
    ]

    func validate() throws {
        for name in names where !Self.benches.contains(where: { $0.name == name }) {
            throw ValidationError(
                "there is no bench '\(name)'; there are \(Self.benches.map(\.name).joined(separator: ", "))")
        }
    }

    func run() async throws {
        for bench in Self.benches where names.isEmpty ? bench.isUsual : names.contains(bench.name) {
            for _ in 0..<max(runs, 1) {
                say("\(bench.name) …")
                let servers = try await BenchServers.start(
                    partitions: bench.partitions, onBroker: bench.isChaos, seed: seed)
                let results: [BenchResult]
                do {
                    results = try await bench.run(servers)
                } catch {
                    await servers.stop()
                    throw error
                }
                await servers.stop()
                for result in results { try keep(result.line()) }
            }
        }
    }

    private func keep(_ line: String) throws {
        print(line)
        fflush(nil)
        let url = URL(filePath: results)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        if !FileManager.default.fileExists(atPath: url.path) { try Data().write(to: url) }
        let file = try FileHandle(forWritingTo: url)
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: Data("\(line)\n".utf8))
    }
}

/// One bench: it gets new servers, and returns one result, or several results of the same data.
struct Bench: Sendable {
    let name: String
    let partitions: Int32
    /// Whether the bench injects faults, on a broker that can be stopped, and measures the recovery times.
    let isChaos: Bool
    /// Whether the bench runs when no bench is named.
    let isUsual: Bool
    let run: @Sendable (BenchServers) async throws -> [BenchResult]

    init(
        name: String, partitions: Int32 = BenchServers.manyPartitions,
        run: @escaping @Sendable (BenchServers) async throws -> BenchResult
    ) {
        self.name = name
        self.partitions = partitions
        (isChaos, isUsual) = (false, true)
        self.run = { servers in [try await run(servers)] }
    }

    init(chaos name: String, run: @escaping @Sendable (BenchServers) async throws -> BenchResult) {
        self.name = name
        partitions = ChaosShort.partitions
        (isChaos, isUsual) = (true, false)
        self.run = { servers in [try await run(servers)] }
    }

    /// A bench that takes minutes.
    init(long name: String, run: @escaping @Sendable (BenchServers) async throws -> BenchResult) {
        self.name = name
        partitions = BenchServers.fewPartitions
        (isChaos, isUsual) = (false, false)
        self.run = { servers in [try await run(servers)] }
    }

    init(name: String, runAll: @escaping @Sendable (BenchServers) async throws -> [BenchResult]) {
        self.name = name
        partitions = BenchServers.manyPartitions
        (isChaos, isUsual) = (false, true)
        run = runAll
    }
}

/// Writes a message for the user to standard error.
func say(_ message: String) {
    FileHandle.standardError.write(Data("bench: \(message)\n".utf8))
}
