internal import ArgumentParser
internal import Foundation
internal import OrderShop
internal import Postgres

/// `millrace verify`: are the read models what the write model says?
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compares order_summary and the dashboard with the write model, row by row.",
        discussion: """
            Folds orders, items, payments and shipments into what the read models must be, and compares every \
            business column. The dashboard is left out where its views are not. While a load runs, differences may be events on their way: stop it first, or use --wait.

            Exit code 0 when equal, 1 when not.
            """)

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @OptionGroup var database: DatabaseOptions

    @Option(help: "The read model's database, when it is another one.")
    var readDatabase: String?

    @Option(help: "The read model's schema (default: that of the write model).")
    var readSchema: String?

    @Option(help: "How long to wait for the projections to catch up.")
    var wait = DurationArgument(.zero)

    @Option(help: "How many differences to show, of each kind and view.")
    var examples = 10

    @Option(name: .shortAndLong, help: "text or json.")
    var output = Output.text

    func run() async throws {
        let writeModel = try database.configuration(applicationName: "millrace-verify")
        var readModel = writeModel
        if let readDatabase {
            readModel = try PostgresConfiguration(url: readDatabase)
            readModel.schema = database.schema
            readModel.applicationName = writeModel.applicationName
        }
        if let readSchema { readModel.schema = readSchema }
        let report = try await VerificationReport.make(
            writeModel: writeModel, readModel: readModel, exampleLimit: max(0, examples), waitingUpTo: wait.duration)
        print(output == .text ? report.text : report.json)
        if !report.isEqual { throw ExitCode(1) }
    }
}

/// What `verify` found, for people and for programs.
struct VerificationReport {
    private let outcome: ReadModelCheck.Outcome
    /// nil where there is no dashboard.
    private let dashboard: [DashboardCheck.View]?

    init(_ outcome: ReadModelCheck.Outcome, dashboard: [DashboardCheck.View]?) {
        self.outcome = outcome
        self.dashboard = dashboard
    }

    /// Compares.
    ///
    /// - Parameter wait: how long to look again while something differs, for each read model.
    /// - Throws: `PostgresError`.
    static func make(
        writeModel: PostgresConfiguration, readModel: PostgresConfiguration, exampleLimit: Int = 10,
        waitingUpTo wait: Duration
    ) async throws -> VerificationReport {
        let orders = ReadModelCheck(writeModel: writeModel, readModel: readModel, exampleLimit: exampleLimit)
        let outcome = try await orders.run(waitingUpTo: wait)
        let counters = DashboardCheck(writeModel: writeModel, readModel: readModel, exampleLimit: exampleLimit)
        return VerificationReport(outcome, dashboard: try await counters.run(waitingUpTo: wait))
    }

    /// Whether nothing differs.
    var isEqual: Bool { outcome.isEqual && (dashboard ?? []).allSatisfy(\.isEqual) }

    var text: String {
        var lines = [
            isEqual ? "equal: the read models are what the write model says" : "NOT equal",
            "order_summary: checked \(outcome.checked)  missing \(outcome.missing)  extra \(outcome.extra)  "
                + "differing \(outcome.differing)",
        ]
        for difference in outcome.examples {
            switch difference.kind {
            case .missing: lines.append("  \(difference.orderID): missing in the read model")
            case .extra: lines.append("  \(difference.orderID): not in the write model")
            case .column(let name, let expected, let actual):
                lines.append(
                    "  \(difference.orderID): \(name): expected \(Self.quoted(expected)), is \(Self.quoted(actual))")
            }
        }
        for view in dashboard ?? [] {
            lines.append("\(view.name): checked \(view.checked)  missing \(view.missing)  extra \(view.extra)")
            lines += view.missingExamples.map { "  missing: \($0)" }
            lines += view.extraExamples.map { "  extra: \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    private static func quoted(_ value: String?) -> String {
        value.map { "\"\($0.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: " / "))\"" }
            ?? "NULL"
    }

    private struct Object: Encodable {
        struct Difference: Encodable {
            let orderId: String
            let kind: String
            let column: String?
            let expected: String?
            let actual: String?
        }

        struct View: Encodable {
            let name: String
            let checked: Int
            let missing: Int
            let extra: Int
            let missingExamples: [String]
            let extraExamples: [String]
        }

        let equal: Bool
        let checked: Int
        let missing: Int
        let extra: Int
        let differing: Int
        let examples: [Difference]
        let dashboard: [View]?
    }

    var json: String {
        let examples = outcome.examples.map { difference in
            switch difference.kind {
            case .missing:
                Object.Difference(
                    orderId: difference.orderID, kind: "missing", column: nil, expected: nil, actual: nil)
            case .extra:
                Object.Difference(orderId: difference.orderID, kind: "extra", column: nil, expected: nil, actual: nil)
            case .column(let name, let expected, let actual):
                Object.Difference(
                    orderId: difference.orderID, kind: "column", column: name, expected: expected, actual: actual)
            }
        }
        let object = Object(
            equal: isEqual, checked: outcome.checked, missing: outcome.missing, extra: outcome.extra,
            differing: outcome.differing, examples: examples,
            dashboard: dashboard?.map {
                Object.View(
                    name: $0.name, checked: $0.checked, missing: $0.missing, extra: $0.extra,
                    missingExamples: $0.missingExamples, extraExamples: $0.extraExamples)
            })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(object) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }
}
