internal import ArgumentParser
internal import CommandSupport
internal import DeadLetters
internal import Foundation
internal import StreamCore

/// `millrace dead-letters edit`.
struct EditLetter<Codecs: ConsumerCodecs>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "edit",
            abstract: "Adds a corrected value to a pending letter. The next retry sends it.",
            discussion: """
                Take the value from `show -o json` or `export`, correct it, and give the whole value. It must be an \
                event of the consumer's domain (for a consumer outside of Millrace, only the envelope is checked). \
                The edited event gets a new eventId, because the consumer may remember the old one, and causationId \
                is the id of the original. The letter keeps its original value. You may edit it again. `retry` sends \
                the newest edit.

                \(DeadLettersHelp.exitCodes)
                """)
    }

    @OptionGroup var database: DatabaseOptions

    @Argument(help: "The letter's number.")
    var letter: Int64

    @Option(help: ArgumentHelp("A file with the corrected value; - for standard input.", valueName: "file|-"))
    var value: String

    @Flag(help: "Store the value unchanged and without a check, for consumers of other formats.")
    var noCheck = false

    @OptionGroup var audit: AuditOptions

    /// Maximum size of a value in bytes. By default, brokers accept only much smaller values.
    private static var valueLimit: Int { 64 << 20 }

    func run() async throws {
        let given = try readValue()
        try await database.withDeadLetters { store in
            guard let detail = try await store.show(letter) else {
                throw CommandFailure("there is no letter \(letter)", .nothingMatched)
            }
            if let skip = DeadLetterStore.obstacle(toEditing: detail.letter) { throw Self.refusal(letter, skip) }
            let edited =
                noCheck
                ? EditedEvent(unchecked: given)
                : try EditedEvent(
                    given, replacing: detail.letter, as: Codecs.codec(of: detail.letter.summary.consumer))
            guard audit.execute else {
                print(LetterFormat.value(edited.value))
                print("dry run: letter \(letter) would get this value. \(AuditOptions.howToExecute)")
                return
            }
            switch try await store.edit(letter, value: edited.value, eventID: edited.eventID, by: audit.audit) {
            case .edited(let number):
                print("letter \(letter) has edit \(number), event id \(edited.eventID)")
                print("to send it: millrace dead-letters retry \(letter) --execute --reason \"edited\"")
            case .skipped(let skip): throw Self.refusal(letter, skip)
            case .noSuchLetter: throw CommandFailure("there is no letter \(letter)", .nothingMatched)
            }
        }
    }

    private static func refusal(_ letter: Int64, _ skip: DeadLetterStore.Skip) -> CommandFailure {
        CommandFailure("letter \(letter) cannot be edited: \(skip.explanation)", .nothingMatched)
    }

    private func readValue() throws -> [UInt8] {
        let file: FileHandle
        if value == "-" {
            file = .standardInput
        } else {
            guard let opened = FileHandle(forReadingAtPath: value) else {
                throw ValidationError("The file \(value) cannot be read.")
            }
            file = opened
        }
        var bytes: [UInt8] = []
        do {
            while let data = try file.read(upToCount: 1 << 20), !data.isEmpty {
                bytes += data
                guard bytes.count <= Self.valueLimit else {
                    throw CommandFailure("the value is larger than \(Self.valueLimit) bytes", .wrongData)
                }
            }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw ValidationError("The file \(value) cannot be read.")
        }
        return bytes
    }
}
