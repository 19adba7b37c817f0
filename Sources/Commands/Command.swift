internal import Digests
public import Events
public import Traces

/// A request to change something: a value with a name. One handler decides about each type of command.
public protocol Command: Sendable {
    /// The name, for example `CreateOrder`. It must not change, because metrics, logs and stored answers contain it.
    static var name: String { get }
}

/// The properties of a request that are not part of the command.
public struct CommandRequest: Sendable {
    /// The metadata of the events. Rules may use its tenant.
    public var metadata: EventMetadata
    /// The id of the larger process that the command belongs to; by default the command's own id.
    public var correlationID: String?
    /// The key under which the bus stores the answer. Without a key, a repeated request is a new command.
    public var idempotencyKey: IdempotencyKey?
    /// The version that the command's aggregate must have; 0 if it must not exist; nil for any.
    public var expectedVersion: Int64?
    /// The maximum time for waiting in the queue and for repeated attempts; by default the limit of the bus.
    public var timeout: Duration?
    /// The trace that the command belongs to. Its outbox rows carry the trace, so that it continues with the events. If
    /// the command is recorded, the bus replaces it by the command's own span.
    public var trace: TraceContext?

    public init(
        metadata: EventMetadata = EventMetadata(), correlationID: String? = nil,
        idempotencyKey: IdempotencyKey? = nil, expectedVersion: Int64? = nil, timeout: Duration? = nil,
        trace: TraceContext? = nil
    ) {
        self.metadata = metadata
        self.correlationID = correlationID
        self.idempotencyKey = idempotencyKey
        self.expectedVersion = expectedVersion
        self.timeout = timeout
        self.trace = trace
    }
}

/// The client's name for a request. If the client repeats the request, the bus returns the stored answer and does not
/// carry the command out again.
public struct IdempotencyKey: Hashable, Sendable {
    /// The owner of the key, for example the tenant. Equal keys in different scopes are different keys.
    public let scope: String
    public let key: String
    /// The SHA-256 hash of the request. Requests with the same key must be equal.
    public let fingerprint: [UInt8]

    /// - Parameter request: everything that distinguishes this request from others: its target and its content.
    public init(scope: String, key: String, request: [[UInt8]]) {
        self.scope = scope
        self.key = key
        var bytes: [UInt8] = []
        for part in request {
            // The length precedes each part, so that the boundaries of the parts are part of the hash.
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: part.count >> shift))
            }
            bytes += part
        }
        fingerprint = SHA256.digest(of: bytes)
    }
}
