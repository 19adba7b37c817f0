internal import Logging
internal import Metrics
internal import StreamCore
internal import Synchronization

/// The log lines and metrics of a command bus.
final class CommandTelemetry: Sendable {
    /// The result of a command, which is the value of the label `status`.
    enum Status: String, CaseIterable {
        case accepted, refused, replayed
        case versionMismatch = "version_mismatch"
        case keyReused = "key_reused"
        case overloaded, expired, conflict, unavailable, failed, stopped, cancelled
        case unknownOutcome = "unknown_outcome"
    }

    private struct Series {
        let counters: [Status: Counter]
        let duration: Metrics.Timer
    }

    private let logger: Logger
    private let level: Logger.Level
    private let series: [String: Series]
    private let waiting = Gauge(label: "millrace_commands_waiting")
    private let batchSize = Recorder(label: "millrace_command_batch_size")
    private let retries = Counter(label: "millrace_command_retries_total")
    private let pruned = Counter(label: "millrace_command_answers_pruned_total")
    private let lines = Mutex(RareLines())

    init(_ logger: Logger, level: Logger.Level, commands: [String]) {
        self.logger = logger
        self.level = level
        series = Dictionary(
            uniqueKeysWithValues: commands.map { name in
                let counters = Status.allCases.map { status in
                    let dimensions = [("command_type", name), ("status", status.rawValue)]
                    return (status, Counter(label: "cqrs_commands_total", dimensions: dimensions))
                }
                let duration = Metrics.Timer(
                    label: "cqrs_command_duration_seconds", dimensions: [("command_type", name)])
                return (name, Series(counters: Dictionary(uniqueKeysWithValues: counters), duration: duration))
            })
    }

    /// A command was answered. The line contains no ids and no details of a refusal.
    func answered(_ name: String, _ reply: CommandReply, after time: Duration) {
        let status = Self.status(of: reply)
        series[name]?.counters[status]?.increment()
        series[name]?.duration.recordNanoseconds(time.nanoseconds)
        var metadata: Logger.Metadata = [
            "command": "\(name)", "status": "\(status.rawValue)", "ms": "\(time.nanoseconds / 1_000_000)",
        ]
        if case .outcome(let outcome, let events) = reply {
            if case .refused(let refusal) = outcome.verdict { metadata["rule"] = "\(refusal.rule)" }
            if events > 0 { metadata["events"] = "\(events)" }
        }
        logger.log(level: level, "command", metadata: metadata)
    }

    static func status(of reply: CommandReply) -> Status {
        switch reply {
        case .rows: .accepted
        case .again: .failed
        case .outcome(let outcome, _):
            switch outcome.verdict {
            case _ where outcome.isReplay: .replayed
            case .accepted: .accepted
            case .refused: .refused
            }
        case .failed(let failure):
            switch failure {
            case .versionMismatch: .versionMismatch
            case .keyReused: .keyReused
            case .overloaded: .overloaded
            case .deadlineExceeded: .expired
            case .conflict: .conflict
            case .unavailable: .unavailable
            case .unknownOutcome: .unknownOutcome
            case .failed: .failed
            case .stopped: .stopped
            case .cancelled: .cancelled
            }
        }
    }

    func waiting(_ count: Int) { waiting.record(count) }

    func began(_ batch: Int) { batchSize.record(batch) }

    func retrying(_ error: any Error) {
        retries.increment()
        if isDue("retry \(error)") {
            logger.warning("a transaction of commands failed and is repeated", metadata: ["error": "\(error)"])
        }
    }

    func failed(_ error: any Error) {
        if isDue("failed \(error)") { logger.error("commands failed", metadata: ["error": "\(error)"]) }
    }

    func pruned(_ count: Int) {
        if count == 0 { return }
        pruned.increment(by: count)
        logger.info("deleted answers whose retention time is over", metadata: ["answers": "\(count)"])
    }

    func cannotPrune(_ error: any Error) {
        if isDue("prune \(error)") {
            logger.warning("deleting old answers failed and is repeated later", metadata: ["error": "\(error)"])
        }
    }

    func cannotListen(_ error: any Error) {
        if isDue("listen \(error)") {
            logger.warning("facts are not cached: listening for changes failed", metadata: ["error": "\(error)"])
        }
    }

    private func isDue(_ kind: String) -> Bool {
        lines.withLock { $0.isDue(kind, .now) }
    }
}

extension Duration {
    /// Whole nanoseconds.
    var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
