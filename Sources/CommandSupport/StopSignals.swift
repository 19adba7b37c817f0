internal import Dispatch
internal import Foundation
internal import Synchronization

/// Handles Ctrl-C and SIGTERM. The first signal requests a graceful end, and the second ends the process at once.
package enum StopSignals {
    /// Runs `body`. The first signal calls `onStop`, after which `body` must end soon.
    package static func run<Result: Sendable>(
        onStop: @escaping @Sendable () -> Void, _ body: () async throws -> Result
    ) async rethrows -> Result {
        let count = Atomic(0)
        let sources = [SIGINT, SIGTERM].map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                if count.add(1, ordering: .relaxed).newValue > 1 { exit(128 + number) }
                onStop()
            }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        return try await body()
    }
}
