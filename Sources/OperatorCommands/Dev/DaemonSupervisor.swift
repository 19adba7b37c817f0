internal import Blocking
internal import CommandSupport
internal import Synchronization

/// Keeps one daemon running: starts it, restarts it when it ends, and stops it at the end of the session.
final class DaemonSupervisor: Sendable {
    let name: String
    private let command: [String]
    private let logFile: String
    private let counter = Atomic(0)

    /// Time between SIGTERM and SIGKILL: slightly more than the daemons need for a graceful stop.
    private static let patienceSeconds = 35

    /// - Parameters:
    ///   - name: the name of the daemon.
    ///   - command: the program's path, then its arguments.
    ///   - logFile: the file of its output.
    init(name: String, command: [String], logFile: String) {
        self.name = name
        self.command = command
        self.logFile = logFile
    }

    /// The number of restarts.
    var restarts: Int { counter.load(ordering: .relaxed) }

    /// Runs the daemon until the task is cancelled, and returns after its end.
    ///
    /// - Parameter report: receives each unexpected end of the daemon.
    /// - Throws: ``CommandFailure`` if a restart cannot help.
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
