internal import Blocking
internal import Synchronization

/// Keeps one daemon running: starts it, starts it again when it ends, and stops it when the session ends.
final class DaemonSupervisor: Sendable {
    let name: String
    private let command: [String]
    private let logFile: String
    private let counter = Atomic(0)

    /// From SIGTERM to SIGKILL: a little more than the daemons take for a graceful stop.
    private static let patienceSeconds = 35

    /// - Parameters:
    ///   - command: the program's path, then its arguments.
    ///   - logFile: where its output goes.
    init(name: String, command: [String], logFile: String) {
        self.name = name
        self.command = command
        self.logFile = logFile
    }

    /// How often it was started again.
    var restarts: Int { counter.load(ordering: .relaxed) }

    /// Runs the daemon until the task is cancelled; returns when it has ended.
    ///
    /// - Parameter report: receives each unexpected end of a daemon.
    /// - Throws: ``CommandFailure`` when starting it again cannot help.
    func run(report: @Sendable (String) -> Void) async throws {
        var policy = RestartPolicy()
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            let start = ContinuousClock.now
            let process = try SupervisedProcess(command, logFile: logFile, patienceSeconds: Self.patienceSeconds)
            let end = await withTaskCancellationHandler {
                await process.waitForEnd()
            } onCancel: {
                process.stop()
            }
            if Task.isCancelled { return }
            switch policy.ended(end, ranFor: ContinuousClock.now - start, using: &random) {
            case .giveUp(let reason):
                throw CommandFailure("\(name) cannot run: \(reason). See \(logFile)", .configuration)
            case .restart(let delay):
                counter.store(policy.restarts, ordering: .relaxed)
                let milliseconds = Int(delay / .milliseconds(1))
                report("\(name) \(end); starting it again in \(milliseconds) ms. See \(logFile)")
                try? await Task.sleep(for: delay)
            }
        }
    }
}
