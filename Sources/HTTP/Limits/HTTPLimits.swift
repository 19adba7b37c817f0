/// The limits of a server that can change while it runs. ``HTTPServerConfiguration`` describes each.
///
/// A changed value applies to everything that begins after the change. A client that holds more than a decreased limit
/// allows keeps what it holds.
public struct HTTPLimits: Sendable, Equatable {
    public var maxConnectionsPerClient: Int
    public var maxConcurrentRequests: Int
    public var maxConcurrentRequestsPerClient: Int
    public var maxStreams: Int
    public var maxStreamsPerClient: Int
    public var maxWaitsPerClient: Int
    public var maxSearches: Int
    public var maxSearchesPerClient: Int
    public var maxBodyBytes: Int
    public var receiveTimeoutMs: Int
    public var requestTimeoutMs: Int
    public var writeTimeoutMs: Int
    public var drainTimeoutMs: Int

    /// The limits of a configuration.
    public init(_ configuration: HTTPServerConfiguration) {
        maxConnectionsPerClient = configuration.maxConnectionsPerClient
        maxConcurrentRequests = configuration.maxConcurrentRequests
        maxConcurrentRequestsPerClient = configuration.maxConcurrentRequestsPerClient
        maxStreams = configuration.maxStreams
        maxStreamsPerClient = configuration.maxStreamsPerClient
        maxWaitsPerClient = configuration.maxWaitsPerClient
        maxSearches = configuration.maxSearches
        maxSearchesPerClient = configuration.maxSearchesPerClient
        maxBodyBytes = configuration.maxBodyBytes
        receiveTimeoutMs = configuration.receiveTimeoutMs
        requestTimeoutMs = configuration.requestTimeoutMs
        writeTimeoutMs = configuration.writeTimeoutMs
        drainTimeoutMs = configuration.drainTimeoutMs
    }
}
