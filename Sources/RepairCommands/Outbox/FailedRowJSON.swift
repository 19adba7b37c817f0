internal import Outbox

/// Failed rows as JSON objects.
enum FailedRowJSON {
    struct Summary: Encodable {
        let row: Int64
        let state: String
        let eventId: String?
        let eventType: String?
        let aggregateType: String?
        let aggregateId: String?
        let topic: String?
        let key: String?
        let errorClass: String
        let error: String
        let failedAt: String
        let discardReason: String?
        let discardedBy: String?
        let discardedAt: String?

        init(_ row: OutboxFailures.Row) {
            self.row = row.id
            state = row.isDiscarded ? "discarded" : "failed"
            eventId = row.eventID.map { "\($0)" } ?? row.sourceID
            eventType = row.eventType
            aggregateType = row.aggregateType
            aggregateId = row.aggregateID
            topic = row.topic
            key = row.key
            errorClass = row.errorClass
            error = row.error
            failedAt = "\(row.failedAt)"
            discardReason = row.discarded?.reason
            discardedBy = row.discarded?.actor
            discardedAt = row.discarded?.at.map { "\($0)" }
        }
    }

    struct Page: Encodable {
        let rows: [Summary]
        let next: Int64?
    }

    /// JSON columns are texts here, exactly as in the database, with all digits and repeated members.
    struct Detail: Encodable {
        let summary: Summary
        let sequence: Int64?
        let occurredAt: String?
        let metadata: String?
        let payload: String?
        let headers: String?
        let original: String?
        let history: [Entry]

        struct Entry: Encodable {
            let at: String
            let action: String
            let actor: String
            let reason: String
        }

        init(_ detail: OutboxFailures.Detail) {
            summary = Summary(detail.row)
            sequence = detail.sequence
            occurredAt = detail.occurredAt
            metadata = detail.metadata
            payload = detail.payload
            headers = detail.headers
            original = detail.original
            history = detail.history.map {
                Entry(at: "\($0.at)", action: $0.action, actor: $0.actor, reason: $0.reason)
            }
        }
    }
}
