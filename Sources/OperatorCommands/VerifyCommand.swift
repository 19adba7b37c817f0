internal import ArgumentParser
internal import Foundation
internal import OrderShop
internal import Postgres

/// `millrace verify`: is the read model what the write model says?
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compares order_summary with the write model, row by row.",
        discussion: """
            Folds orders, items, payments and shipments into what the read model must be, and compares every business \
            column. While a load runs, differences may be events on their way: stop it first, or use --wait.

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

    @Option(help: "How long to wait for the projection to catch up.")
    var wait = DurationArgument(.zero)

    @Option(help: "How many differences to show.")
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
        let check = ReadModelCheck(writeModel: writeModel, readModel: readModel, exampleLimit: max(0, examples))
        let outcome = try await check.run(waitingUpTo: wait.duration)
        let report = VerificationReport(outcome)
        print(output == .text ? report.text : report.json)
        if !outcome.isEqual { throw ExitCode(1) }
    }
}

/// What `verify` found, for people and for programs.
struct VerificationReport {
    private let outcome: ReadModelCheck.Outcome

    init(_ outcome: ReadModelCheck.Outcome) {
        self.outcome = outcome
    }

    var text: String {
        var lines = [
            outcome.isEqual ? "equal: the read model is what the write model says" : "NOT equal",
            "checked \(outcome.checked)  missing \(outcome.missing)  extra \(outcome.extra)  "
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

        let equal: Bool
        let checked: Int
        let missing: Int
        let extra: Int
        let differing: Int
        let examples: [Difference]
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
            equal: outcome.isEqual, checked: outcome.checked, missing: outcome.missing, extra: outcome.extra,
            differing: outcome.differing, examples: examples)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(object) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }
}
