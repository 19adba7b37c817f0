internal import ArgumentParser

/// The names of an outbox's tables.
package struct OutboxNameOptions: ParsableArguments {
    @Option(help: "The outbox table, as relay.table names it.")
    package var table = "outbox"

    @Option(help: "The table of failed rows, as relay.failed_table names it.")
    package var failedTable = "outbox_failed"

    package init() {}
}
