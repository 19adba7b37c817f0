internal import ArgumentParser
internal import StreamCore

/// What every command is that changes something for an operator: without --execute it says what it would do, with it
/// the command does it and says what it did. What is changed, and how it is told, is each command's own.
protocol OperatorChange {
    associatedtype Report: OperatorReport

    /// - Parameter audit: who changes it, and why; nil to change nothing and find out what would be changed.
    func outcome(by audit: Audit?) async throws -> Report
}

/// What was changed, or would be.
protocol OperatorReport {
    /// It was changed; otherwise it would be.
    var isDone: Bool { get }
    /// Whether nothing was to be changed.
    var isEmpty: Bool { get }
    /// What was changed, or would be, for people.
    var lines: [String] { get }
    /// The same as one JSON value.
    var json: String { get }
    /// The same as JSON objects, one a line.
    var jsonLines: String { get }
}

extension OperatorReport {
    var jsonLines: String { json }

    /// What a person reads; a dry run says that it was one.
    var text: String {
        var lines = lines
        if !isDone && !isEmpty {
            lines.append("dry run: nothing was changed. \(AuditOptions.howToExecute)")
        }
        return lines.joined(separator: "\n")
    }
}

extension OperatorChange {
    /// Does it, or says what would be done.
    ///
    /// - Throws: `ExitCode.nothingMatched` when there was nothing to change.
    func run(_ options: AuditOptions, _ output: OutputFormat) async throws {
        let report = try await outcome(by: options.execute ? options.audit : nil)
        switch output {
        case .table: print(report.text)
        case .json: print(report.json)
        case .jsonl: print(report.jsonLines)
        }
        if report.isEmpty { throw ExitCode.nothingMatched }
    }
}

extension ExitCode {
    /// There is nothing of what was asked for, or nothing that may be changed.
    static let nothingMatched = ExitCode(1)
}
