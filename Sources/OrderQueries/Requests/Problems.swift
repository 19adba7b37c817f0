internal import HTTP
internal import RequestValues
internal import StreamCore
internal import WireJSON

/// The problems that this service answers with (RFC 9457); docs/queries.md describes each type.
enum Problems {
    static func invalidParameters(_ complaints: [QueryParameters.Complaint]) -> Problem {
        var writer = JSONWriter()
        writer.beginArray()
        for complaint in complaints {
            writer.beginObject()
            writer.key("parameter")
            writer.string(complaint.parameter)
            writer.key("detail")
            writer.string(complaint.detail)
            writer.endObject()
        }
        writer.endArray()
        let first = complaints.first.map { "\($0.parameter) \($0.detail)" }
        return Problem(
            status: 400, type: "/problems/invalid-parameter", title: "A parameter is not valid", detail: first,
            members: [("errors", writer.finish())])
    }

    static func invalidParameter(_ name: String, _ detail: String) -> Problem {
        invalidParameters([.init(parameter: name, detail: detail)])
    }

    static func unknownOrder() -> Problem {
        Problem(
            status: 404, type: "/problems/unknown-order", title: "There is no such order",
            detail: "No event of this order has reached the read model.")
    }

    static func notFound() -> Problem {
        Problem(status: 404)
    }

    static let behindType = "/problems/read-model-behind"

    /// - Parameter current: nil if the read model does not have the order.
    static func readModelBehind(current: Int64?, requested: Int64, retryAfterSeconds: Int) -> Problem {
        Problem(
            status: 503, type: behindType, title: "The read model is behind",
            detail: "The read model has not reached the requested version. Repeat the request, or use Prefer: wait.",
            members: [
                ("currentVersion", current.map { number($0) } ?? Array("null".utf8)),
                ("requestedVersion", number(requested)),
            ],
            headers: [("Retry-After", String(retryAfterSeconds))])
    }

    static let unavailableType = "/problems/database-unavailable"

    static func unavailable() -> Problem {
        Problem(
            status: 503, type: unavailableType, title: "The read model cannot be reached",
            detail: "The database does not answer at the moment.", headers: [("Retry-After", "2")])
    }

    static func overloaded() -> Problem {
        Problem(
            status: 503, type: "/problems/overloaded", title: "The service is overloaded",
            detail: "Too many requests wait for a database session. Send the request again later.",
            headers: [("Retry-After", "1")])
    }

    static func deadlineExceeded() -> Problem {
        Problem(
            status: 504, type: "/problems/deadline-exceeded", title: "The query took too long",
            detail: "The service cancelled the query. A query for less data may succeed.")
    }

    private static func number(_ value: Int64) -> [UInt8] { Array(String(value).utf8) }
}
