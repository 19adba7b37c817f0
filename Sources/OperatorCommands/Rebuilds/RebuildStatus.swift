internal import ArgumentParser
internal import CommandSupport
internal import ReadModels
internal import StreamCore

/// `millrace rebuild status`.
struct RebuildStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows a read model's versions, and the progress of a rebuild.",
        discussion: "The rate is measured over a second.\n\n\(RebuildCommand.exitCodes)")

    @OptionGroup var options: RebuildOptions

    @Option(name: .shortAndLong, help: "table, json, or jsonl.")
    var output = OutputFormat.table

    func run() async throws {
        let target = try await options.resolved()
        let rebuild = target.rebuild
        let policy = try await rebuild.policy()
        var pace = RebuildPace()
        var progress: RebuildProgress?
        if let building = policy.building {
            progress = try await rebuild.withConnection { connection in
                pace.observe(try await rebuild.progress(of: building, on: connection).done, at: .now)
                try await Task.sleep(for: .seconds(1))
                let progress = try await rebuild.progress(of: building, on: connection)
                pace.observe(progress.done, at: .now)
                return progress
            }
        }
        let report = RebuildReport(
            policy, progress, pace, named: target.projection == nil ? "--projection DIR" : options.arguments)
        switch output {
        case .table: print(report.lines.joined(separator: "\n"))
        case .json, .jsonl: print(report.json)
        }
    }
}

/// The report about a read model's versions, as text and JSON.
struct RebuildReport {
    private let policy: RebuildPolicy
    private let progress: RebuildProgress?
    private let pace: RebuildPace
    /// The arguments that select the read model in the next command.
    private let name: String

    init(_ policy: RebuildPolicy, _ progress: RebuildProgress?, _ pace: RebuildPace, named name: String) {
        self.name = name
        self.policy = policy
        self.progress = progress
        self.pace = pace
    }

    var lines: [String] {
        guard !policy.versions.isEmpty else { return ["\(policy.model.name) has no version"] }
        var table = TextTable(["VERSION", "STATE", "SCHEMA", "SINCE"])
        for version in policy.versions {
            table.add([
                String(version.version), version.state.rawValue, version.schema,
                TextFormat.time(version.promotedAt ?? version.startedAt),
            ])
        }
        var lines = [table.text]
        if let progress { lines.append(RebuildBar.line(progress, pace)) }
        lines.append("next: \(next)")
        return lines
    }

    private var next: String {
        guard let progress else {
            return policy.versions.contains { $0.state == .superseded }
                ? "millrace rebuild retire \(policy.model.name)" : "millrace rebuild start \(name)"
        }
        return progress.hasReachedEnds
            ? "millrace rebuild promote \(name)" : "millrace rebuild start \(name) (continues)"
    }

    private struct Object: Encodable {
        struct Version: Encodable {
            let version: Int
            let state: String
            let schema: String
            let structure: Int
            let startedAt: String
            let verifiedAt: String?
            let promotedAt: String?
        }
        struct Partition: Encodable {
            let topic: String
            let partition: Int32
            let start: Int64
            let next: Int64
            let end: Int64
        }
        struct Progress: Encodable {
            let done: Int64
            let total: Int64
            let behindLive: Int64
            let recordsPerSecond: Double?
            let secondsLeft: Double?
            let hasCaughtUp: Bool
            let partitions: [Partition]
        }
        let projection: String
        let versions: [Version]
        let rebuild: Progress?
    }

    var json: String {
        let versions = policy.versions.map {
            Object.Version(
                version: $0.version, state: $0.state.rawValue, schema: $0.schema, structure: $0.structure,
                startedAt: $0.startedAt.description, verifiedAt: $0.verifiedAt?.description,
                promotedAt: $0.promotedAt?.description)
        }
        let rebuild = progress.map { progress in
            Object.Progress(
                done: progress.done, total: progress.total, behindLive: progress.behindLive,
                recordsPerSecond: pace.perSecond, secondsLeft: pace.secondsLeft(progress.total - progress.done),
                hasCaughtUp: progress.hasReachedEnds && progress.behindLive == 0,
                partitions: progress.partitions.map {
                    Object.Partition(
                        topic: $0.partition.topic, partition: $0.partition.partition, start: $0.start, next: $0.next,
                        end: $0.end)
                })
        }
        return JSONText.page(Object(projection: policy.model.name, versions: versions, rebuild: rebuild))
    }
}
