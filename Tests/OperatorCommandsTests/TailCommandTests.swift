import ArgumentParser
import Catalog
import StreamCore
import Tail
import Testing

@testable import OperatorCommands

@Suite struct TailCommandTests {
    /// 2026-03-01 12:00:00 UTC.
    private let now = Timestamp(microseconds: 1_772_366_400_000_000)

    private func request(_ arguments: String...) throws -> TailRequest {
        let command = try TailCommand.parse(arguments + ["--bootstrap-servers", "127.0.0.1:9"])
        var request = TailRequest(topics: [])
        request.filter = try command.filters.filter()
        try command.range.apply(to: &request, now: now)
        return request
    }

    @Test func withoutAPlaceItIsTheLastTen() throws {
        #expect(try request("t").last == 10)
        #expect(try request("t", "-f").last == 10)
        #expect(try request("t", "-n", "3").last == 3)
        #expect(try request("t", "--from", "0").last == nil)
        #expect(try request("t", "--since", "15m").last == nil)
        let filtered = try request("t", "--type", "A", "--type", "B")
        #expect(filtered.last == nil && filtered.from == .beginning, "all matching records are shown")
        #expect(filtered.filter.conditions == [.type([Array("A".utf8), Array("B".utf8)])])
    }

    @Test func placesMayBeginWithASign() throws {
        let request = try request("t", "--from", "-5", "--to", "+7", "-p", "0,2-4", "-c", "9", "-f")
        #expect(request.from == .beforeEnd(5) && request.to == .afterBeginning(7))
        #expect(request.partitions == [0, 2, 3, 4] && request.limit == 9 && request.follows)
        #expect(try self.request("t", "--since", "15m").from == .time(1_772_365_500_000))
    }

    @Test func conditionsOfOneKindAreAlternativesAndOfSeveralAllHold() throws {
        let conditions = try request(
            "t", "--order", "o-1", "--aggregate", "p-1", "--where", "!a", "--header", "h!=-1", "--key", "k"
        ).filter.conditions
        #expect(
            conditions == [
                .any([.key(Array("k".utf8))]), try .header(parsing: "h!=-1"), .json(try JSONCondition(parsing: "!a")),
                .any([.aggregate("p-1"), .aggregate("o-1", orReferredToBy: "orderId")]),
            ])
    }

    @Test func withoutTopicsItIsThoseOfAllEvents() throws {
        #expect(try TailCommand.parse([]).topics.isEmpty)
        #expect(!Catalog.eventTopics.isEmpty)
        #expect(TailCommand.anyEvents == ["*-events", "outbox.event.*"])
        #expect(Catalog.eventTopics.allSatisfy { $0.hasSuffix("-events") })
        #expect(TailCommand.helpMessage(columns: 2_000).contains("default: *-events, outbox.event.*"))
    }

    @Test(arguments: [
        ["--from", "0", "--since", "1m"], ["--from", "nowhere"], ["--since", "5"], ["-n", "0"], ["-c", "0"],
        ["-p", "1-"], ["-p", "3-1"], ["-p", ""], ["-p", "-1"], ["--where", "a..b"], ["--header", "=x"],
        ["-o", "table"],
        ["-o", "%q"], ["-o", "raw", "--meta-only"], ["--bytes", "octal"], ["--color", "blue"],
    ])
    func wrongUse(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try TailCommand.parse(["t"] + arguments) }
    }

    @Test(
        arguments: [
            (TailFormOptions.Colour.auto, true, [:], true), (.auto, false, [:], false),
            (.auto, true, ["NO_COLOR": "1"], false), (.auto, true, ["NO_COLOR": ""], true),
            (.auto, true, ["TERM": "dumb"], false), (.always, false, ["NO_COLOR": "1"], true),
            (.never, true, [:], false),
        ] as [(TailFormOptions.Colour, Bool, [String: String], Bool)])
    func colours(choice: TailFormOptions.Colour, isTerminal: Bool, environment: [String: String], coloured: Bool) {
        #expect(TailFormOptions.isColoured(choice, isTerminal: isTerminal, environment: environment) == coloured)
    }
}
