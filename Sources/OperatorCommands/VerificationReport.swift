internal import ArgumentParser
internal import CommandSupport
internal import Foundation
internal import Verification

/// Formats a verdict as text and JSON.
struct VerificationReport {
    private let verdict: Verdict

    init(_ verdict: Verdict) {
        self.verdict = verdict
    }

    /// The exit code; nil if everything is equal.
    var exitCode: ExitCode? {
        switch verdict.decision {
        case .equal: nil
        case .different: ExitCode(1)
        case .undecided: ExitCode(2)
        }
    }

    // MARK: for people

    var text: String {
        var lines = [headline]
        if case .writeModel(let reason) = verdict.method {
            lines.append("\(reason): compared with the write model and the later events, not with all events")
        }
        for comparison in verdict.comparisons {
            lines.append(Self.line(comparison))
            lines += comparison.differences.map { "  \(TextFormat.text($0.subject)): \(Self.text($0.problem))" }
            let more = comparison.differing - Set(comparison.differences.map(\.subject)).count
            if more > 0, comparison.undecided == nil { lines.append("  … and \(more) more") }
        }
        lines.append(underWay)
        return lines.joined(separator: "\n")
    }

    private var headline: String {
        switch verdict.decision {
        case .different: "NOT equal"
        case .undecided: "undecided: no differences, but a part could not be compared"
        case .equal where verdict.comparisons.allSatisfy { $0.checked == 0 }:
            "equal: there is nothing to compare yet"
        case .equal:
            switch verdict.method {
            case .events where verdict["topics"] == nil: "equal: the read models match the events"
            case .events:
                "equal: the read models match the events, and the topics match the write model"
            case .writeModel: "equal: the read models match the write model"
            case .tables: "equal: the read models match the write model, if no events were in transit"
            }
        }
    }

    private static func line(_ comparison: Verdict.Comparison) -> String {
        let name = comparison.name == "topics" ? "write model against topics" : comparison.name
        if comparison.checked == 0, let undecided = comparison.undecided {
            return "\(name): not compared: \(undecided)"
        }
        var line = "\(name): compared \(comparison.checked), differing \(comparison.differing)"
        if comparison.leftOut > 0 { line += ", left out \(comparison.leftOut)" }
        if let undecided = comparison.undecided { line += "; undecided: \(undecided)" }
        return line
    }

    private static func text(_ problem: Verdict.Difference.Problem) -> String {
        switch problem {
        case .missing: "missing"
        case .unexpected: "must not exist"
        case .column(let name, let expected, let actual):
            "\(name): expected \(quoted(expected)), is \(quoted(actual))"
        case .lostEvent(let event): "\(event) is neither in its topic nor in the outbox"
        case .unknownEvent(let event): "\(event) is in its topic, but not in the write model"
        case .unreadable(let reason): "is not parked and cannot be decoded: \(reason)"
        case .notApplicable(let reason): reason
        }
    }

    private static func quoted(_ value: String?) -> String {
        value.map { "\"\($0.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: " / "))\"" }
            ?? "NULL"
    }

    private var underWay: String {
        if case .tables = verdict.method { return "events in transit: not checked" }
        var parts: [String] = []
        func append(_ count: Int, _ what: String) { if count > 0 { parts.append("\(count) \(what)") } }
        if !verdict.underWay.hasOutbox { parts.append("the outbox is not in this database") }
        append(verdict.underWay.unpublished, "in the outbox")
        append(verdict.underWay.setAside, "set aside, see `millrace outbox failed list`")
        for projection in verdict.underWay.projections {
            append(projection.waiting, "in Kafka, not yet applied by \(projection.name)")
            append(projection.parked, "parked by \(projection.name) and left out")
            append(projection.discarded, "discarded from \(projection.name)")
        }
        return "events in transit: \(parts.isEmpty ? "none" : parts.joined(separator: ", "))"
    }

    // MARK: for programs

    private struct Document: Encodable {
        struct Difference: Encodable {
            let subject: String
            let kind: String
            var column: String?
            var expected: String?
            var actual: String?
            var detail: String?
        }

        struct Comparison: Encodable {
            let name: String
            let checked: Int
            let differing: Int
            let leftOut: Int
            let undecided: String?
            let differences: [Difference]
        }

        struct Projection: Encodable {
            let name: String
            let waiting: Int
            let parked: Int
            let discarded: Int
        }

        struct UnderWay: Encodable {
            let unpublished: Int
            let setAside: Int
            let projections: [Projection]
        }

        let verdict: String
        /// The compared source: events, write-model or tables.
        let comparedWith: String
        let reason: String?
        let comparisons: [Comparison]
        let eventsUnderWay: UnderWay
    }

    /// The verdict as one JSON document.
    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(document), as: UTF8.self)
        }
    }

    private var document: Document {
        let decision =
            switch verdict.decision {
            case .equal: "equal"
            case .different: "different"
            case .undecided: "undecided"
            }
        let (method, reason): (String, String?) =
            switch verdict.method {
            case .events: ("events", nil)
            case .writeModel(let reason): ("write-model", reason)
            case .tables: ("tables", nil)
            }
        return Document(
            verdict: decision, comparedWith: method, reason: reason,
            comparisons: verdict.comparisons.map { comparison in
                Document.Comparison(
                    name: comparison.name, checked: comparison.checked, differing: comparison.differing,
                    leftOut: comparison.leftOut, undecided: comparison.undecided,
                    differences: comparison.differences.map(Self.object))
            },
            eventsUnderWay: Document.UnderWay(
                unpublished: verdict.underWay.unpublished, setAside: verdict.underWay.setAside,
                projections: verdict.underWay.projections.map {
                    Document.Projection(name: $0.name, waiting: $0.waiting, parked: $0.parked, discarded: $0.discarded)
                }))
    }

    private static func object(_ difference: Verdict.Difference) -> Document.Difference {
        var object: Document.Difference
        switch difference.problem {
        case .missing: object = Document.Difference(subject: difference.subject, kind: "missing")
        case .unexpected: object = Document.Difference(subject: difference.subject, kind: "unexpected")
        case .column(let name, let expected, let actual):
            object = Document.Difference(subject: difference.subject, kind: "column")
            (object.column, object.expected, object.actual) = (name, expected, actual)
        case .lostEvent(let event):
            object = Document.Difference(subject: difference.subject, kind: "lost-event", detail: event)
        case .unknownEvent(let event):
            object = Document.Difference(subject: difference.subject, kind: "unknown-event", detail: event)
        case .unreadable(let reason):
            object = Document.Difference(subject: difference.subject, kind: "unreadable", detail: reason)
        case .notApplicable(let reason):
            object = Document.Difference(subject: difference.subject, kind: "not-applicable", detail: reason)
        }
        return object
    }
}
