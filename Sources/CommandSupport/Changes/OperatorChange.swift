internal import ArgumentParser
package import StreamCore

/// A command that changes something for an operator. Without --execute it only reports what it would change. Each
/// command defines its change and its report.
package protocol OperatorChange {
    associatedtype Report: OperatorReport

    /// - Parameter audit: the operator and the reason; nil for a dry run.
    func outcome(by audit: Audit?) async throws -> Report
}

/// The report about a change, or about a possible change.
package protocol OperatorReport {
    /// Whether the change was made. Otherwise it is a dry run.
    var isDone: Bool { get }
    /// Whether there was nothing to change.
    var isEmpty: Bool { get }
    /// The report as text.
    var lines: [String] { get }
    /// The report as one JSON value.
    var json: String { get }
    /// The report as JSON objects, one in each line.
    var jsonLines: String { get }
}

extension OperatorReport {
    package var jsonLines: String { json }

    /// The complete text. It says if this was a dry run.
    package var text: String {
        var lines = lines
        if !isDone && !isEmpty {
            lines.append("dry run: nothing was changed. \(AuditOptions.howToExecute)")
        }
        return lines.joined(separator: "\n")
    }
}

extension OperatorChange {
    /// Makes the change, or reports what it would change.
    ///
    /// - Throws: `ExitCode.nothingMatched` if there was nothing to change.
    package func run(_ options: AuditOptions, _ output: OutputFormat) async throws {
        let report = try await outcome(by: options.execute ? options.audit : nil)
        switch output {
        case .table: print(report.text)
        case .json: print(report.json)
        case .jsonl: print(report.jsonLines)
        }
        if report.isEmpty { throw ExitCode.nothingMatched }
    }
}
