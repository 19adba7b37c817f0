internal import Blocking

/// The operating-system thread that a connection blocks while it waits for the server.
///
/// An actor whose work is to talk to one connection has its connections on its own thread: as long as both are on one
/// thread, calls from the one to the other change neither thread nor queue. While a statement runs, nothing else of the
/// actor does.
///
///     actor Writer {
///         private let thread = PostgresThread()
///         nonisolated var unownedExecutor: UnownedSerialExecutor { thread.unownedExecutor }
///         …
///         connection = try await PostgresConnection.connect(configuration, on: thread)
public struct PostgresThread: Sendable {
    private let executor = ThreadExecutor(name: "postgres")

    /// Starts the thread; it ends with the last actor that has it.
    public init() {}

    /// For the actor's own `unownedExecutor`. The actor keeps this value for as long as it lives.
    public var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }
}
