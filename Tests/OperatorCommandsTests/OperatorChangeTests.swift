import ArgumentParser
import CommandSupport
import OperatorCommands
import Testing

@Suite struct OperatorChangeTests {
    private struct Report: OperatorReport {
        var isDone = false
        var isEmpty = false
        let lines = ["would discard 1 row", "  no such row: 7"]
        let json = "{}"
    }

    @Test func onlyADryRunThatWouldChangeSomethingSaysHowToDoIt() {
        #expect(
            Report().text == """
                would discard 1 row
                  no such row: 7
                dry run: nothing was changed. Add --execute --reason "why" to do it.
                """)
        for report in [Report(isDone: true), Report(isEmpty: true), Report(isDone: true, isEmpty: true)] {
            #expect(report.text == "would discard 1 row\n  no such row: 7")
        }
        #expect(Report().jsonLines == Report().json)
    }

    private func rule(_ numbers: Bool, _ filter: Bool, all: Bool) -> SelectionRule {
        SelectionRule(
            noun: "rows", ways: [("numbers", numbers), ("a filter such as --class", filter)], all: all)
    }

    @Test func exactlyOneWaySelects() throws {
        try rule(true, false, all: false).validate()
        try rule(false, true, all: false).validate()
        try rule(false, false, all: true).validate()
        let none = #expect(throws: ValidationError.self) { try rule(false, false, all: false).validate() }
        #expect(none?.message == "Select rows by one of: numbers, a filter such as --class, or --all.")
        for (numbers, filter, all) in [(true, true, false), (true, false, true), (false, true, true)] {
            let several = #expect(throws: ValidationError.self) { try rule(numbers, filter, all: all).validate() }
            #expect(
                several?.message == "Select rows in one way only: numbers, a filter such as --class, or --all.")
        }
    }

    @Test(arguments: [
        ["outbox", "failed", "discard"], ["outbox", "failed", "retry"], ["dead-letters", "discard"],
        ["dead-letters", "retry"], ["dead-letters", "restore"], ["projection", "breakers", "release"],
    ])
    func everyChangeNeedsASelectionAndAReason(command: [String]) {
        #expect(throws: (any Error).self) { try MillraceCommand.parseAsRoot(command) }
        #expect(throws: (any Error).self) { try MillraceCommand.parseAsRoot(command + ["--all", "--execute"]) }
        #expect(throws: Never.self) { try MillraceCommand.parseAsRoot(command + ["--all"]) }
        #expect(throws: Never.self) {
            try MillraceCommand.parseAsRoot(
                command + ["--all", "--execute", "--reason", "the cause is gone", "--as", "mara"])
        }
    }
}
