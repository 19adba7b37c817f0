import ArgumentParser
import Foundation
import OrderShop
import Testing

@testable import CommandSupport
@testable import OperatorCommands

@Suite struct EndpointTests {
    @Test func nullAndEmptyDiffer() {
        #expect(TextFormat.printable(nil) == "(null)")
        #expect(TextFormat.printable([]) == "(empty)")
        #expect(TextFormat.printable([0x61, 0x1B]) == "a\\x1B")
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
        let credentials = ["CREDENTIALS_DIRECTORY": (path as NSString).deletingLastPathComponent]
        let name = (path as NSString).lastPathComponent
        let given = try KafkaOptions.property("ssl.key.password.file", name, environment: credentials)
        #expect(given.value == filed.value)
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
        // The counts of a cluster that was replaced begin at 0 again.
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
