import ArgumentParser
import Foundation
import OrderShop
import Testing

@testable import OperatorCommands

@Suite struct RecordLineTests {
    static func line(key: [UInt8]?, headers: [(name: String, value: [UInt8]?)] = [], value: [UInt8]?) -> RecordLine {
        RecordLine(partition: 3, offset: 17, timestampMs: 1_772_366_400_000, key: key, headers: headers, value: value)
    }

    @Test func textShowsEverythingOnOneLine() {
        let line = Self.line(
            key: Array("ord-1".utf8),
            headers: [("event-type", Array("OrderCreated".utf8)), ("empty", []), ("null", nil)],
            value: Array("{\"a\":1}".utf8))
        #expect(
            line.text == """
                3/17 2026-03-01T12:00:00.000000Z key=ord-1 \
                [event-type=OrderCreated empty=(empty) null=(null)] {"a":1}
                """)
    }

    @Test func nullAndEmptyDiffer() {
        #expect(Self.line(key: nil, value: nil).text.hasSuffix("key=(null) [] (null)"))
        #expect(Self.line(key: [], value: []).text.hasSuffix("key=(empty) [] (empty)"))
        #expect(Self.line(key: nil, value: nil).json.contains("value") == false)
        #expect(Self.line(key: nil, value: []).json.contains("\"value\":\"\""))
    }

    /// Whatever 64 bits a record has for its timestamp, it is shown.
    @Test(
        arguments: [
            (1_764_201_600_000_000_000, "+55907293-03-05T00:00:00.000000Z"),
            (.max, "+292278994-08-17T07:12:55.807000Z"), (.min, "-292275055-05-16T16:47:04.192000Z"),
        ] as [(Int64, String)])
    func anyTimestampIsShown(milliseconds: Int64, time: String) {
        let line = RecordLine(
            partition: 3, offset: 17, timestampMs: milliseconds, key: nil, headers: [], value: nil)
        #expect(line.text == "3/17 \(time) key=(null) [] (null)")
        #expect(line.json.contains(#""timestamp":"\#(time)""#))
    }

    @Test(
        arguments: [
            ([0x61, 0x0A, 0x1B, 0x5B, 0x4B], "a\\x0A\\x1B[K"),
            ([0xFF, 0xC3, 0x28], "\\xFF\\xC3("),
            ([0xC3, 0xA9, 0xE2, 0x82, 0xAC], "é€"),
            // A truncated character at the end, a C1 control, a mark that turns text around, an overlong slash.
            ([0x61, 0xE2, 0x82], "a\\xE2\\x82"),
            ([0xC2, 0x9B], "\\xC2\\x9B"),
            ([0xE2, 0x80, 0xAE], "\\xE2\\x80\\xAE"),
            ([0xC0, 0xAF], "\\xC0\\xAF"),
        ] as [([UInt8], String)])
    func bytesThatWouldSpoilATerminalAreEscaped(bytes: [UInt8], text: String) {
        #expect(RecordLine.printable(bytes) == text)
    }

    @Test func jsonSpoilsNoTerminal() throws {
        let text = "a\u{9B}2J\u{2028}\u{202E}\u{7F}é"
        let json = Self.line(key: Array(text.utf8), headers: [(text, Array(text.utf8))], value: Array(text.utf8)).json
        #expect(json.components(separatedBy: #"a\u009b2J\u2028\u202e\u007fé"#).count == 5, "\(json)")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        #expect(object["value"] as? String == text)
    }

    @Test(arguments: [Int64.max, .min, 1_764_201_600_000_000_000, -1])
    func anyTimestampIsShown(milliseconds: Int64) {
        let line = RecordLine(
            partition: 0, offset: 1, timestampMs: milliseconds, key: nil, headers: [], value: Array("v".utf8))
        #expect(line.text.hasPrefix("0/1 ") && line.text.hasSuffix(" key=(null) [] v"), "\(line.text)")
        #expect(line.json.contains(#""value":"v""#))
    }

    @Test func secretsAreNamedAndNotGiven() throws {
        #expect(try KafkaOptions.property("security.protocol", "SSL").value == "SSL")
        let named = try KafkaOptions.property("sasl.password.env", "PW", environment: ["PW": "hunter2"])
        #expect(named.name == "sasl.password" && named.value == "hunter2")
        let path = NSTemporaryDirectory() + "millrace-\(UUID().uuidString)"
        try Data("hunter3\n".utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let filed = try KafkaOptions.property("ssl.key.password.file", path)
        #expect(filed.name == "ssl.key.password" && filed.value == "hunter3")
        func complaint(_ body: () throws -> Void) -> String {
            do { try body() } catch { return "\(error)" }
            return ""
        }
        let property = complaint { _ = try KafkaOptions.property("sasl.password", "hunter2") }
        #expect(property.contains("--kafka sasl.password.file=PATH") && !property.contains("hunter2"), "\(property)")
        let missing = complaint { _ = try KafkaOptions.property("sasl.password.env", "NONE", environment: [:]) }
        #expect(missing.contains("no variable NONE"))
        for url in ["postgres://u:hunter2@h/d", "postgres://h/d?password=hunter2"] {
            let said = complaint { try Endpoints.refusePassword(inURL: url, of: "--database") }
            #expect(said.contains("PGPASSFILE") && !said.contains("hunter2"), "\(said)")
        }
        #expect(complaint { try Endpoints.refusePassword(inURL: "postgres://u@h/d", of: "--database") }.isEmpty)
        #expect(throws: (any Error).self) {
            try VerifyCommand.parse(["--read-database", "postgres://u:hunter2@h/d"])
        }
        #expect(throws: Never.self) { try VerifyCommand.parse(["--read-database", "postgres://u@h/d"]) }
    }

    @Test func bytesThatAreNoTextAreBase64InJSON() {
        let json = Self.line(key: [0xFF], headers: [("h", [0xFE])], value: Array("é".utf8)).json
        #expect(json.contains("\"keyBase64\":\"/w==\""))
        #expect(json.contains("\"headers\":[{\"name\":\"h\",\"valueBase64\":\"/g==\"}]"))
        #expect(json.contains("\"value\":\"é\""))
    }
}

@Suite struct CommandOutputTests {
    @Test(arguments: [
        ("250ms", Duration.milliseconds(250)), ("30s", .seconds(30)), ("5m", .seconds(300)), ("2h", .seconds(7_200)),
        ("1.5", .milliseconds(1_500)), ("0", .zero),
    ])
    func durationsAreReadWithTheirUnits(text: String, duration: Duration) {
        #expect(DurationArgument(argument: text)?.duration == duration)
    }

    @Test(arguments: ["", "s", "-1s", "1d", "nan", "inf", "1e99h"]) func otherTextIsNoDuration(text: String) {
        #expect(DurationArgument(argument: text) == nil)
    }

    @Test func theStatusLineTurnsCountsIntoRates() {
        var line = StatusLine()
        let first = DevSnapshot(backlog: 3, published: 100, projected: 90, lag: 10)
        #expect(
            line.text(first, totals: nil, restarts: 0, seconds: 1.2)
                == "0:00:01  outbox 3  published 0/s  projected 0/s  lag 10")
        let second = DevSnapshot(backlog: 0, published: 300, projected: 300, lag: 0)
        #expect(
            line.text(second, totals: ShopLoad.Totals(), restarts: 2, seconds: 3.2)
                == "0:00:03  orders 0  outbox 0  published 100/s  projected 105/s  lag 0  restarts 2")
        #expect(
            line.text(nil, totals: nil, restarts: 0, seconds: 3_725)
                == "1:02:05  PostgreSQL or Kafka does not answer")
        // A cluster that was exchanged counts from 0 again.
        let third = DevSnapshot(backlog: 0, published: 5, projected: 5, lag: 0)
        #expect(line.text(third, totals: nil, restarts: 0, seconds: 3_726).contains("published 0/s"))
    }

    @Test func theProgressBarFillsAsOrdersAreFinished() {
        let progress = LoadProgress(orders: 200, isShown: true)
        var totals = ShopLoad.Totals()
        totals.orders = 150
        totals.finishedOrders = 100
        let line = progress.line(totals, seconds: 10)
        #expect(line.hasPrefix("[" + String(repeating: "#", count: 15) + String(repeating: " ", count: 15) + "] 50 % "))
        #expect(line.contains("150 orders (15/s)"))
    }
}
