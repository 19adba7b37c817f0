package import ArgumentParser
internal import CommandSupport
internal import Outbox
internal import Postgres

/// `millrace outbox`: manages an outbox.
package struct OutboxCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "outbox", abstract: "Manages an outbox table.", subcommands: [FailedRowsCommand.self])

    package init() {}
}

/// `millrace outbox failed`: the rows that the relay could not publish.
struct FailedRowsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failed",
        abstract: "Lists and shows rows that cannot be published; retries and discards them.",
        discussion: """
            The relay sets a row aside if Kafka can never accept it: the record is too large, the topic name is not \
            allowed, or a value is invalid. Later rows of its key wait in the outbox until you retry or discard it. Commands \
            that change rows are a dry run unless you give --execute. They write the operator and the reason into the \
            history. docs/outbox.md explains how to correct a row.

            \(exitCodes)
            """,
        subcommands: [ListFailedRows.self, ShowFailedRow.self, RetryFailedRows.self, DiscardFailedRows.self])

    static let exitCodes = """
        Exit codes: 0 done, or shown by the dry run · 1 no such row, or nothing matched · 64 wrong usage · 69 the \
        database is unreachable or refuses · 70 internal error · 78 the configuration or the database schema is wrong.
        """
}

/// The options for the outbox and its failed rows.
struct OutboxTableOptions: ParsableArguments {
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var names: OutboxNameOptions

    /// Runs `body` with the failed rows of the database.
    func withFailures<Result>(
        _ body: (OutboxFailures, PostgresConnection) async throws -> Result
    ) async throws -> Result {
        var outbox = OutboxRelayConfiguration()
        outbox.table = names.table
        outbox.failedTable = names.failedTable
        let failures = OutboxFailures(outbox)
        return try await database.withSession(
            named: "millrace-outbox", tables: (of: "the outbox", sets: ["outbox", "outbox-debezium"]),
            explain: explained
        ) { try await body(failures, $0) }
    }

    private func explained(_ error: any Error) -> CommandFailure? {
        guard let error = error as? PostgresError, error.sqlState == .uniqueViolation else { return nil }
        return CommandFailure(
            "\(error.description). \(names.table) already contains a row with the same id or position. Nothing was changed.",
            .unavailable)
    }
}

/// Selects the rows of a command: by numbers, a filter, or all.
struct FailedRowSelection: ParsableArguments {
    @Argument(help: "Numbers of rows.")
    var rows: [Int64] = []

    @Flag(help: "All rows. Required if nothing else selects rows.")
    var all = false

    @OptionGroup var filter: FailedRowFilter

    func validate() throws {
        try SelectionRule(
            noun: "rows", ways: [("numbers", !rows.isEmpty), ("a filter such as --class", !filter.isEmpty)], all: all
        ).validate()
    }

    var selection: OutboxFailures.Filter {
        var selection = filter.filter
        if !rows.isEmpty { selection.ids = rows }
        return selection
    }
}

/// Selects rows by properties.
struct FailedRowFilter: ParsableArguments {
    @Option(name: .customLong("class"), help: "Rows of this error class, such as msg_size_too_large.")
    var errorClass: String?

    @Option(help: "Rows of this aggregate type.")
    var aggregateType: String?

    @Option(help: "Rows with this key: the row's own key, else its aggregate id.")
    var key: String?

    var isEmpty: Bool { errorClass == nil && aggregateType == nil && key == nil }

    var filter: OutboxFailures.Filter {
        var filter = OutboxFailures.Filter()
        filter.errorClass = errorClass
        filter.aggregateType = aggregateType
        filter.key = key
        return filter
    }
}
