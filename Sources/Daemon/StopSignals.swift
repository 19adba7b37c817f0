internal import Dispatch
internal import Glibc
internal import Logging
internal import Synchronization

/// SIGTERM and SIGINT: the first begins a graceful stop, the second, or a stop that takes too long, ends the process.
///
/// It runs on a queue of its own, so that it works even when nothing else does any longer.
final class StopSignals: Sendable {
    private let queue = DispatchQueue(label: "millrace.signals")
    private let isStopping = Mutex(false)
    private let timeout: Duration
    private let logger: Logger
    private let stop: @Sendable () -> Void

    /// - Parameters:
    ///   - timeout: what a graceful stop may take.
    ///   - stop: begins it; called once.
    init(timeout: Duration, logger: Logger, stop: @escaping @Sendable () -> Void) {
        self.timeout = timeout
        self.logger = logger
        self.stop = stop
    }

    func listen() {
        for (number, name) in [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")] {
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            // The handler holds its own source and this object: both live as long as the process.
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
