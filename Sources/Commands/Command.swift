internal import Digests
public import Events
public import Traces

/// What somebody wants to happen: a value with a name, that one handler decides.
public protocol Command: Sendable {
    /// `CreateOrder` and the like: stays the same, since metrics, logs and kept answers name it.
    static var name: String { get }
}

/// What comes along with a command and is no part of it.
public struct CommandRequest: Sendable {
    /// What the events are told of the request. Its tenant is the one that rules may ask for.
    public var metadata: EventMetadata
    /// What the command is part of; the command's own id if nothing is said.
    public var correlationID: String?
    /// Under which the answer is kept; nil for a command whose repetition is another command.
    public var idempotencyKey: IdempotencyKey?
    /// The version that the command's aggregate must have; 0 for none that exists. Nil for any.
    public var expectedVersion: Int64?
    /// How long the command may wait for its turn and be tried again; the bus's own limit if nothing is said.
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

/// What a client names a request by, so that a repetition is answered and not carried out once more.
public struct IdempotencyKey: Hashable, Sendable {
    /// Whose key it is, the tenant for example: the same key in another scope is another one.
    public let scope: String
    public let key: String
    /// SHA-256 of what was asked for: the same key must ask for the same.
    public let fingerprint: [UInt8]

    /// - Parameter request: all that tells this request from others: what it is about, and its content.
    public init(scope: String, key: String, request: [[UInt8]]) {
        self.scope = scope
        self.key = key
        var bytes: [UInt8] = []
        for part in request {
            // With its length before it, so that parts cannot run into each other.
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: part.count >> shift))
            }
            bytes += part
        }
        fingerprint = SHA256.digest(of: bytes)
    }
}
