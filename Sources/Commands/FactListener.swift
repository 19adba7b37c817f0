internal import Postgres
internal import StreamCore

/// Listens for changes of cached facts. Nothing is cached while it cannot listen.
struct FactListener {
    let postgres: PostgresConfiguration
    let caches: FactCaches
    let telemetry: CommandTelemetry

    private static let channel = "millrace_facts"

    /// Listens until the task is cancelled.
    func run() async {
        var backoff = Backoff(initial: .milliseconds(100), ceiling: .seconds(5))
        while !Task.isCancelled {
            do throws(PostgresError) {
                let listener = try await PostgresListener.connect(postgres, channels: [Self.channel])
                backoff.reset()
                caches.listening(true)
                for try await notification in listener { caches.changed(notification.payload, in: postgres.schema) }
            } catch {
                if !Task.isCancelled { telemetry.cannotListen(error) }
            }
            caches.listening(false)
            // A cancellation ends the sleep early, and then the loop.
            try? await Task.sleep(for: backoff.next())
        }
    }
}
