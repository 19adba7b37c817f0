import ArgumentParser
import CommandSupport
import DeadLetters
import OperatorCommands
import StreamCore
import Testing

@testable import RepairCommands

@Suite struct LetterFormatTests {
    @Test func jsonIsIndentedWithItsDigits() {
        let value = #"{"a":1.10,"b":[],"c":[1,{"d":"x, {y}: \" z"}],"e":{}}"#
        #expect(
            LetterFormat.value(Array(value.utf8)) == """
                {
                  "a": 1.10,
                  "b": [],
                  "c": [
                    1,
                    {
                      "d": "x, {y}: \\" z"
                    }
                  ],
                  "e": {}
                }
                """)
    }

    @Test func whatIsNoJSONIsTextOrHexadecimal() {
        #expect(LetterFormat.value([]) == "(empty)")
        #expect(LetterFormat.value(Array("{broken".utf8)) == "{broken")
        #expect(LetterFormat.value(Array("two\nlines\u{1B}[K".utf8)) == "two\nlines\\x1B[K")
        #expect(
            LetterFormat.value([0xFF, 0x00, 0x41])
                == "000000  ff 00 41" + String(repeating: " ", count: 41) + "..A")
    }

    @Test func aLargeValueIsShownInPart() {
        let json = "[" + String(repeating: "1,", count: 200_000) + "1]"
        let text = LetterFormat.value(Array(json.utf8))
        #expect(text.utf8.count < 100_000)
        #expect(text.hasSuffix("more bytes: `millrace dead-letters export` prints all"))
        #expect(LetterFormat.value([UInt8](repeating: 0x61, count: 100_000)).utf8.count < 70_000)
    }

    @Test func numbersAndAgesAreShort() {
        #expect(TextFormat.count(0) == "0")
        #expect(TextFormat.count(1_203_456) == "1,203,456")
        #expect(LetterFormat.letters(1) == "1 letter")
        let now = Timestamp(microseconds: 1_000_000_000_000)
        func age(_ seconds: Int64) -> String {
            TextFormat.age(of: Timestamp(microseconds: now.microseconds - seconds * 1_000_000), now: now)
        }
        #expect([age(-5), age(59), age(310), age(7_260), age(200_000)] == ["0s", "59s", "5m 10s", "2h 1m", "2d 7h"])
    }

    @Test(arguments: [("50/s", 50.0), ("30/m", 0.5), ("7", 7.0), ("1800/h", 0.5)])
    func ratesAreReadWithTheirUnits(text: String, perSecond: Double) {
        #expect(RateArgument(argument: text)?.perSecond == perSecond)
    }

    @Test(arguments: ["", "0/s", "-1/s", "fast", "nan", "10/d"]) func otherTextIsNoRate(text: String) {
        #expect(RateArgument(argument: text) == nil)
    }

    @Test func theActorIsWhoeverIsBehindSudo() {
        #expect(AuditOptions.actor(given: nil, environment: ["USER": "root", "SUDO_USER": "mara"]) == "mara")
        #expect(AuditOptions.actor(given: nil, environment: ["USER": "ann"]) == "ann")
        #expect(AuditOptions.actor(given: "ops", environment: ["USER": "ann"]) == "ops")
        #expect(AuditOptions.actor(given: nil, environment: ["USER": ""]) == nil)
    }
}

@Suite struct LetterArgumentTests {
    @Test(
        arguments: [
            [], ["1", "--all"], ["--group", "a/b"], ["--group", "a/b/c", "--consumer", "x"],
            ["1", "--execute"], ["--all", "--execute", "--reason", " "], ["--all", "--rate", "0"],
            ["--key", "a", "--key-base64", "YQ=="], ["--key-base64", "?"], ["--state", "lost"],
        ])
    func whatIsNotMeantIsRefused(arguments: [String]) {
        #expect(throws: (any Error).self) {
            _ = try MillraceCommand.parseAsRoot(["dead-letters", "retry"] + arguments)
        }
    }

    @Test func aFilterIsReadFromItsOptions() throws {
        let command = try #require(
            try MillraceCommand.parseAsRoot([
                "dead-letters", "list", "--consumer", "order-summary", "--state", "pending", "--state", "retrying",
                "--class", "missing_field", "--fingerprint", "9F", "--key", "order-7", "--older-than", "2h",
            ]) as? ListLetters)
        let filter = command.filter.filter
        #expect(filter.consumer == "order-summary")
        #expect(filter.states == [.pending, .retrying])
        #expect(filter.errorClass == "missing_field")
        #expect(filter.fingerprint == "9f")
        #expect(filter.key == Array("order-7".utf8))
        #expect(filter.olderThan == .seconds(7_200))
    }

    @Test func aReportSaysWhatIsDoneAndWhatIsNot() {
        var outcome = DeadLetterStore.Outcome()
        outcome.changed = 1_203
        outcome.skipped = [.isRetrying: 2]
        outcome.missing = [99]
        #expect(
            LetterChangeReport(.retry, outcome, isDone: false, perSecond: 10).text == """
                would retry 1,203 letters, the last one due in 121 s
                  left unchanged: 2 being retried: wait for the consumer's answer
                  no such letter: 99
                dry run: nothing was changed. Add --execute --reason "why" to do it.
                """)
        #expect(
            LetterChangeReport(.discard, outcome, isDone: true).json
                == #"{"action":"discard","changed":1203,"executed":true,"missing":[99],"skipped":{"retrying":2}}"#)
        var three = DeadLetterStore.Outcome()
        three.changed = 3
        let without = "  without telling their consumer: if it is started again, their keys may be blocked"
        #expect(
            LetterChangeReport(.discardWithoutTelling, three, isDone: true).text == "discarded 3 letters\n\(without)")
        #expect(
            LetterChangeReport(.discardWithoutTelling, three, isDone: false).text
                .hasPrefix("would discard 3 letters\n\(without)\ndry run: nothing was changed."))
    }
}
