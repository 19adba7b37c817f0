internal import ArgumentParser
internal import CommandSupport
internal import ProcessManagers
internal import StreamCore

/// `millrace process resume`.
struct ResumeProcesses: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Resumes stopped processes: the daemon tries the refused step again.",
        discussion: """
            The daemon continues the process within its deadline_poll_ms. If the step is refused again, the process \
            stops again.

            \(ProcessCommand.exitCodes)
            """)

    @OptionGroup var options: ProcessOptions

    @Argument(help: "The processes: the ids of orders, for example.")
    var ids: [String] = []

    @Flag(help: "All stopped processes.")
    var all = false

    @OptionGroup var audit: AuditOptions

    @Option(name: .shortAndLong, help: "table, json or jsonl.")
    var output = OutputFormat.table

    func validate() throws {
        try SelectionRule(noun: "processes", ways: [("ids", !ids.isEmpty)], all: all).validate()
    }

    func run() async throws {
        try await ProcessResumption(options: options, ids: all ? nil : ids).run(audit, output)
    }
}

/// Resumes stopped processes.
struct ProcessResumption: OperatorChange {
    let options: ProcessOptions
    /// Nil for all.
    let ids: [String]?

    /// Maximum number of processes that a dry run lists.
    private static let limit = 10_000

    func outcome(by audit: Audit?) async throws -> ProcessResumptionReport {
        try await options.withProcesses { try await outcome(by: audit, in: $0) }
    }

    func outcome(by audit: Audit?, in registry: ProcessRegistry) async throws -> ProcessResumptionReport {
        let filter = ProcessRegistry.Filter(process: options.process, stage: "stopped", ids: ids)
        let resumed: [String]
        if let audit {
            resumed = try await registry.resume(filter, by: audit)
        } else {
            resumed = try await registry.list(filter, limit: Self.limit).map(\.id).sorted()
        }
        return ProcessResumptionReport(
            processes: resumed, missing: (ids ?? []).filter { !resumed.contains($0) }, isDone: audit != nil)
    }
}

/// The report about resumed processes.
struct ProcessResumptionReport: OperatorReport {
    let processes: [String]
    /// Requested processes that do not exist, or have not stopped.
    let missing: [String]
    let isDone: Bool

    var isEmpty: Bool { processes.isEmpty }

    var lines: [String] {
        let count = "\(TextFormat.count(Int64(processes.count))) process\(processes.count == 1 ? "" : "es")"
        var lines = ["\(isDone ? "resumed" : "would resume") \(count)"]
        lines += processes.prefix(50).map { "  \(TextFormat.text($0))" }
        if !missing.isEmpty {
            let ids = missing.map { TextFormat.text($0) }.joined(separator: ", ")
            lines.append("  no such process, or it has not stopped: \(ids)")
        }
        return lines
    }

    private struct Object: Encodable {
        let action: String
        let executed: Bool
        let processes: [String]
        let missing: [String]
    }

    var json: String {
        JSONText.line(Object(action: "resume", executed: isDone, processes: processes, missing: missing))
    }
}
