internal import Dispatch
internal import Glibc
internal import Logging
internal import Synchronization

/// Handles SIGTERM and SIGINT. The first signal begins a graceful shutdown. A second signal, or a shutdown that takes
/// too long, ends the process.
///
/// It has its own queue, so that it works even if everything else is blocked.
final class StopSignals: Sendable {
    private let queue = DispatchQueue(label: "millrace.signals")
    private let isStopping = Mutex(false)
    private let timeout: Duration
    private let logger: Logger
    private let stop: @Sendable () -> Void

    /// - Parameters:
    ///   - timeout: the maximum time of a graceful shutdown.
    ///   - logger: receives the log lines.
    ///   - stop: begins the shutdown. It is called once.
    init(timeout: Duration, logger: Logger, stop: @escaping @Sendable () -> Void) {
        self.timeout = timeout
        self.logger = logger
        self.stop = stop
    }

    func listen() {
        for (number, name) in [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")] {
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            // The handler keeps its source and this object alive as long as the process lives.
            source.setEventHandler { [self] in withExtendedLifetime(source) { received(number, name) } }
            source.resume()
        }
    }

    private func received(_ number: Int32, _ name: String) {
        let isFirst = isStopping.withLock { isStopping in
            defer { isStopping = true }
            return !isStopping
        }
        guard isFirst else {
            logger.error("second signal; ending at once", metadata: ["signal": "\(name)"])
            _exit(128 + number)
        }
        logger.notice("stopping", metadata: ["signal": "\(name)"])
        queue.asyncAfter(deadline: .now() + .milliseconds(Int(timeout / .milliseconds(1)))) { [logger, timeout] in
            logger.error("the shutdown takes too long; ending at once", metadata: ["after": "\(timeout)"])
            _exit(DaemonExit.temporary.rawValue)
        }
        stop()
    }
}
