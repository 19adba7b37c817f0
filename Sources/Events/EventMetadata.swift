/// What is known of the request behind an event. All of it is the producer's word.
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
