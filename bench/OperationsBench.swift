import Blocking
import Foundation
import Migrations
import OrderShop
import StreamCore

/// Measures what operators and monitoring wait for while a pipeline runs: `--help` of each command, `millrace status`,
/// and a scrape of each daemon's metrics. The bench fails if a median is above its limit.
enum OperationsBench {
    static let name = "operations"
    /// The number of measurements of each.
    private static let runs = 20
    /// The number of orders that passed through the pipeline before, and the new orders a second during the
    /// measurement.
    private static let orders = 2_000
    private static let liveRate = 20.0

    /// The limits of the medians, in milliseconds.
    private static let helpLimitMs = 50.0
    private static let statusLimitMs = 500.0
    private static let scrapeLimitMs = 5.0

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        let pipeline = try await WatchedPipeline.start(on: servers)
        let result: BenchResult
        do {
            result = try await measure(pipeline, servers)
        } catch {
            await pipeline.kill()
            throw error
        }
        try await pipeline.stop()
        return result
    }

    private static func measure(_ pipeline: WatchedPipeline, _ servers: BenchServers) async throws -> BenchResult {
        let before = try await play(orders, rate: 0, on: servers).run()
        try await pipeline.settle()
        let live = play(nil, rate: liveRate, on: servers)
        var result = BenchResult(name: name)
        result.events = before.events
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await live.run() }
            defer { live.stop() }
            let helps = try await slowest(try await HelpPages.all()) { page in try await took(page) }
            let status = try await median {
                try await took([HelpPages.path(of: "millrace"), "status"] + servers.endpointArguments)
            }
            let scrapes = try await slowest(pipeline.daemons) { daemon in
                try await scrape(RequestClient(port: daemon.port))
            }
            (result.helpMs, result.statusMs, result.scrapeMs) = (helps.ms, status, scrapes.ms)
            say(
                "slowest: \(helps.of.joined(separator: " ")) \(helps.ms) ms, status \(status) ms, "
                    + "metrics of \(scrapes.of.name) \(scrapes.ms) ms")
            try demand(helps.ms, within: helpLimitMs, helps.of.joined(separator: " "))
            try demand(status, within: statusLimitMs, "millrace status")
            try demand(scrapes.ms, within: scrapeLimitMs, "a scrape of \(scrapes.of.name)")
        }
        return result
    }

    private static func demand(_ milliseconds: Double, within limit: Double, _ what: String) throws {
        guard milliseconds < limit else { throw BenchError("\(what) took \(milliseconds) ms, not less than \(limit)") }
    }

    private static func play(_ orders: Int?, rate: Double, on servers: BenchServers) -> ShopLoad {
        var configuration = ShopLoad.Configuration()
        configuration.orders = orders
        configuration.ordersPerSecond = rate
        // Another seed results in other orders.
        configuration.seed = orders == nil ? 2 : 1
        return ShopLoad(configuration, database: servers.postgres)
    }

    // MARK: times

    /// The item with the largest median.
    private static func slowest<Item: Sendable>(
        _ items: [Item], _ measure: @Sendable (Item) async throws -> Duration
    ) async throws -> (of: Item, ms: Double) {
        var slowest: (of: Item, ms: Double)?
        for item in items {
            let ms = try await median { try await measure(item) }
            if ms > slowest?.ms ?? -1 { slowest = (item, ms) }
        }
        guard let slowest else { throw BenchError("there is nothing to measure") }
        return slowest
    }

    /// The first run is not counted, because it reads the program from the disk.
    private static func median(_ measure: () async throws -> Duration) async throws -> Double {
        _ = try await measure()
        var times = Latencies()
        for _ in 0..<runs { times.record(try await measure()) }
        return times.milliseconds(atQuantile: 0.5) ?? 0
    }

    /// Runs a command, whose exit code must be 0.
    private static func took(_ command: [String]) async throws -> Duration {
        let start = ContinuousClock.now
        let (end, output) = try await run(command)
        let duration = ContinuousClock.now - start
        guard end == .exited(0) else { throw BenchError("\(command.joined(separator: " ")) \(end):\n\(output)") }
        return duration
    }

    private static func run(_ command: [String]) async throws -> (end: ChildProcess.End, output: String) {
        let pipe = Pipe()
        let child = try ChildProcess(command, output: pipe.fileHandleForWriting.fileDescriptor)
        // The output ends after both the child and this process have closed their copies of its end.
        try pipe.fileHandleForWriting.close()
        let reading = pipe.fileHandleForReading
        let output = await onOwnThread("read-output") { (try? reading.readToEnd()) ?? Data() }
        return (await child.waitForEnd(), String(decoding: output, as: UTF8.self))
    }

    fileprivate static func output(of command: [String]) async throws -> String { try await run(command).output }

    private static func scrape(_ client: RequestClient) async throws -> Duration {
        let start = ContinuousClock.now
        let response = try await client.get("/metrics")
        guard response.status == 200, response.body.contains("millrace_build_info") else {
            throw BenchError("no metrics: \(response.status)")
        }
        return response.instant - start
    }
}

/// The help of every command: of `millrace` with all its subcommands, and of the daemons.
private enum HelpPages {
    /// The part of swift-argument-parser's description of a command that this bench reads.
    private struct Description: Decodable {
        struct Command: Decodable {
            let commandName: String
            let subcommands: [Command]?

            var lines: [[String]] {
                [[commandName]] + (subcommands ?? []).flatMap(\.lines).map { [commandName] + $0 }
            }
        }

        let command: Command
    }

    static func path(of program: String) -> String {
        URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: program).path
    }

    /// The command lines.
    static func all() async throws -> [[String]] {
        let text = try await OperationsBench.output(of: [path(of: "millrace"), "--experimental-dump-help"])
        let commands = try JSONDecoder().decode(Description.self, from: Data(text.utf8)).command.lines
        guard commands.count > 20 else { throw BenchError("millrace has only \(commands.count) commands") }
        let daemons = WatchedPipeline.daemonNames.map { [$0] }
        return (commands.filter { $0.last != "help" } + daemons).map { line in
            [path(of: line[0])] + line.dropFirst() + ["--help"]
        }
    }
}
