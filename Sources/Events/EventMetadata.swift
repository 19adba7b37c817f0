/// Information about the request that caused an event. The producer supplies it, and nothing verifies it.
public struct EventMetadata: Hashable, Sendable {
    public var userID: String?
    public var tenantID: String?
    public var source: String?
    public var traceID: String?

    public init(userID: String? = nil, tenantID: String? = nil, source: String? = nil, traceID: String? = nil) {
        self.userID = userID
        self.tenantID = tenantID
        self.source = source
        self.traceID = traceID
    }
}
