internal import Blocking

/// An operating-system thread that a connection blocks while it waits for the server.
///
/// An actor that mainly talks to one connection should share its thread with the connection. Calls from one to the
/// other then switch neither threads nor queues. While a statement runs, the actor does nothing else.
///
///     actor Writer {
///         private let thread = PostgresThread()
///         nonisolated var unownedExecutor: UnownedSerialExecutor { thread.unownedExecutor }
///         …
///         connection = try await PostgresConnection.connect(configuration, on: thread)
public struct PostgresThread: Sendable {
    private let executor = ThreadExecutor(name: "postgres")

    /// Starts the thread. The thread ends with the last actor that uses it.
    public init() {}

    /// The value for the actor's own `unownedExecutor`. The actor must keep this `PostgresThread` as long as it lives.
    public var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    /// The preference of a task that mainly calls actors of this thread. When the task has waited for something else,
    /// it continues on this thread at once.
    public var taskExecutor: any TaskExecutor { executor }
}
