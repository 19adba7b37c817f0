internal import ArgumentParser
internal import CommandSupport
internal import DeadLetters

/// `millrace dead-letters export`.
struct ExportLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Writes letters as JSON, one a line, with the record's key, value and headers in base64.",
        discussion: """
            Prints the oldest letters first, in pages, so the number of letters is not limited by memory. To get one value: \
            `millrace dead-letters export 42 | jq -r .valueBase64 | base64 -d`.

            \(DeadLettersHelp.exitCodes)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var letters: LetterSelectionOptions

    func run() async throws {
        let count = try await database.withDeadLetters { store in
            let selection = try await letters.selection(in: store)
            var count = 0
            try await store.export(selection) { page in
                for letter in page { print(JSONText.line(LetterJSON.Export(letter))) }
                StandardOutput.flush()
                count += page.count
            }
            return count
        }
        if count == 0 { throw CommandFailure("nothing matched", .nothingMatched) }
    }
}
