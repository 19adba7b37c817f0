internal import CommandSupport
internal import Inspection
internal import StreamCore

/// Formats a report of lag as text or JSON.
struct LagView: Encodable {
    struct Row: Encodable {
        let consumer: String
        let version: Int?
        let topic: String
        let partition: Int32
        let next: Int64
        let end: Int64?
        let lag: Int64?
        let secondsBehind: Double?
        let readPerSecond: Double?
        let writtenPerSecond: Double?
        let secondsToCatchUp: Double?
        let state: String?
        let secondsUntilRemoval: Double?
        let removedUnread: Int64
    }

    let state: String
    let lag: Int64
    let secondsBehind: Double
    let partitions: [Row]
    private let report: LagReport

    init(_ report: LagReport) {
        self.report = report
        state = report.state.rawValue
        lag = report.totalLag
        secondsBehind = report.maxSecondsBehind
        partitions = report.rows.map {
            Row(
                consumer: $0.consumer, version: $0.version, topic: $0.partition.topic,
                partition: $0.partition.partition,
                next: $0.next, end: $0.end, lag: $0.lag, secondsBehind: $0.secondsBehind,
                readPerSecond: $0.readPerSecond, writtenPerSecond: $0.writtenPerSecond,
                secondsToCatchUp: $0.secondsToCatchUp, state: $0.state?.rawValue,
                secondsUntilRemoval: $0.secondsUntilRemoval, removedUnread: $0.removedUnread)
        }
    }

    private enum CodingKeys: String, CodingKey {
        case state, lag, secondsBehind, partitions
    }

    func table(warnRemovalSeconds: Double) -> String {
        if report.rows.isEmpty { return "no consumer has an offset" }
        var table = TextTable([
            "CONSUMER", "PARTITION", "NEXT", "LAG", "BEHIND", "READ/S", "WRITTEN/S", "CATCH UP", "STATE",
        ])
        for row in report.rows {
            table.add([
                Self.name(row), TextFormat.text("\(row.partition)"), TextFormat.count(row.next),
                row.lag.map { TextFormat.count($0) } ?? "-", Self.time(row.secondsBehind),
                Self.rate(row.readPerSecond),
                Self.rate(row.writtenPerSecond), row.lag == 0 ? "-" : Self.time(row.secondsToCatchUp),
                row.state?.rawValue ?? "unknown",
            ])
        }
        let total = "\(report.state.rawValue): \(TextFormat.count(lag)) behind, \(Self.time(secondsBehind)) at most"
        return ([table.text, total] + warnings(within: warnRemovalSeconds)).joined(separator: "\n")
    }

    private func warnings(within seconds: Double) -> [String] {
        report.rows.flatMap { row -> [String] in
            var warnings: [String] = []
            let place = "\(Self.name(row)) \(TextFormat.text("\(row.partition)"))"
            if row.removedUnread > 0 {
                warnings.append(
                    "\(place): \(TextFormat.count(row.removedUnread)) offsets were removed before they were read")
            }
            if let left = row.secondsUntilRemoval, left < seconds {
                warnings.append("\(place): unread records are removed in \(Self.time(left)) at this rate")
            }
            return warnings
        }
    }

    private static func name(_ row: LagReport.Row) -> String {
        TextFormat.text(row.consumer) + (row.version.map { " v\($0)" } ?? "")
    }

    private static func rate(_ rate: Double?) -> String {
        rate.map { $0 < 10 ? "\(($0 * 10).rounded() / 10)" : TextFormat.count(Int64($0)) } ?? "-"
    }

    static func time(_ seconds: Double?) -> String {
        guard let seconds else { return "-" }
        if seconds < 10, seconds > 0 { return "\((seconds * 10).rounded() / 10)s" }
        let micros = Int64(min(seconds, 1e10) * 1_000_000)
        return TextFormat.age(of: Timestamp(microseconds: 0), now: Timestamp(microseconds: micros))
    }
}
