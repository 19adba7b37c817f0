internal import Foundation
internal import Kafka
internal import Projections
public import SQLText
internal import Settings
internal import StreamCore
internal import WireJSON

/// A test case of a projection's folder, `tests/NAME.toml`: events, and the expected results of queries.
///
/// ```toml
/// [[events]]
/// type = "OrderCreated"
/// id = "order-1"                     # the aggregate; its sequence counts from 1 if none is set
/// payload = { customerId = "c1" }    # or JSON as a string
///
/// [[events]]
/// topic = "crm.people"
/// record = { key = "c1", value = { name = "Ann" } }    # read by the topic's envelope mapping
///
/// [[expect]]
/// query = "SELECT order_id, status FROM orders ORDER BY 1"
/// rows = [["order-1", "created"]]    # each value in its JSON notation; "∅" for NULL
/// ```
public struct ProjectionCase: Sendable {
    public struct Expectation: Sendable, Equatable {
        public let query: String
        public let rows: [[String]]
    }

    /// The notation of NULL.
    static let null = "∅"

    /// The file's name without `.toml`.
    public let name: String
    public let path: String
    public let events: [SQLEvent]
    public let expectations: [Expectation]

    /// The cases of a folder, ordered by name.
    ///
    /// - Throws: ``InvalidFolder`` with the problems of all cases.
    public static func all(of folder: ProjectionFolder) throws(InvalidFolder) -> [ProjectionCase] {
        let path = folder.path + "/tests"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        var cases: [ProjectionCase] = []
        var problems: [FolderProblem] = []
        for name in names.sorted() where name.hasSuffix(".toml") && !name.hasPrefix(".") {
            do throws(FolderProblem) {
                cases.append(try ProjectionCase(path: path + "/" + name, of: folder))
            } catch {
                problems.append(error)
            }
        }
        guard problems.isEmpty else { throw InvalidFolder(problems) }
        return cases
    }

    init(path: String, of folder: ProjectionFolder) throws(FolderProblem) {
        self.path = path
        name = String((path.split(separator: "/").last ?? "").dropLast(".toml".count))
        let root: [String: TOMLValue]
        do {
            root = try TOMLDocument.read(path: path)
        } catch {
            throw FolderProblem(error.description)
        }
        for key in root.keys.sorted() where key != "events" && key != "expect" {
            throw FolderProblem("\(path): \(key): unknown key; a case has [[events]] and [[expect]]")
        }
        var reader = CaseReader(path: path, folder: folder)
        events = try reader.events(root["events"])
        expectations = try reader.expectations(root["expect"])
    }
}

/// Reads events and expectations from a case's file.
private struct CaseReader {
    let path: String
    let folder: ProjectionFolder
    /// The last sequence of each aggregate.
    private var sequences: [String: Int64] = [:]

    init(path: String, folder: ProjectionFolder) {
        self.path = path
        self.folder = folder
    }

    private func problem(_ place: String, _ text: String) -> FolderProblem {
        FolderProblem("\(path): \(place): \(text)")
    }

    private func tables(_ value: TOMLValue?, _ key: String) throws(FolderProblem) -> [[String: TOMLValue]] {
        guard let value else { return [] }
        guard case .array(let items) = value else { throw problem(key, "expected [[\(key)]]") }
        var tables: [[String: TOMLValue]] = []
        for item in items {
            guard case .table(let table) = item else { throw problem(key, "expected [[\(key)]]") }
            tables.append(table)
        }
        return tables
    }

    // MARK: events

    /// The events without those records that the mapping skips.
    mutating func events(_ value: TOMLValue?) throws(FolderProblem) -> [SQLEvent] {
        let tables = try tables(value, "events")
        guard !tables.isEmpty else { throw FolderProblem("\(path): no [[events]]") }
        var events: [SQLEvent] = []
        for (index, table) in tables.enumerated() {
            let place = "events[\(index)]"
            guard let event = try table["record"] == nil ? event(table, index, place) : recorded(table, index, place)
            else { continue }
            let aggregate = Self.aggregate(of: event)
            sequences[aggregate] = max(sequences[aggregate] ?? 0, event.sequence)
            events.append(event)
        }
        return events
    }

    private static func aggregate(of event: SQLEvent) -> String { event.aggregateType + "/" + event.aggregateID }

    private static let keys: Set<String> = [
        "type", "id", "aggregate_type", "sequence", "at", "version", "event_id", "correlation_id", "metadata",
        "payload", "topic", "record",
    ]

    /// An event with the given fields.
    private func event(
        _ table: [String: TOMLValue], _ index: Int, _ place: String
    ) throws(FolderProblem) -> SQLEvent {
        for key in table.keys.sorted() where !Self.keys.contains(key) {
            throw problem(place, "unknown key \(key); an event has \(Self.keys.sorted().joined(separator: ", "))")
        }
        var event = SQLEvent()
        event.type = try required(table, "type", place)
        event.aggregateID = try required(table, "id", place)
        event.aggregateType = try text(table, "aggregate_type", place) ?? "Aggregate"
        event.sequence =
            try integer(table, "sequence", place) ?? (sequences[Self.aggregate(of: event)] ?? 0) + 1
        event.occurredAt = try time(table, "at", index, place)
        event.eventID = EventID(high: 0x0000_0000_0000_8000, low: 1 << 63 | UInt64(index + 1))
        if let id = try text(table, "event_id", place) {
            guard let id = EventID(id) else { throw problem("\(place).event_id", "is not a UUID") }
            event.eventID = id
        }
        event.version = try integer(table, "version", place).map { Int32(clamping: $0) } ?? 1
        event.correlationID = try text(table, "correlation_id", place)
        event.metadata = try json(table["metadata"], "\(place).metadata")
        event.payload = try json(table["payload"], "\(place).payload")
        event.topic = try topic(table, place)
        event.offset = Int64(index)
        return event
    }

    private static let recordKeys: Set<String> = ["key", "value", "headers", "timestamp"]

    /// The event of a record, by the envelope mapping of its topic.
    ///
    /// - Returns: nil if the mapping skips the record.
    private func recorded(
        _ table: [String: TOMLValue], _ index: Int, _ place: String
    ) throws(FolderProblem) -> SQLEvent? {
        for key in table.keys.sorted() where key != "record" && key != "topic" {
            throw problem(place, "an event with a record can only set topic as well, not \(key)")
        }
        let inside = "\(place).record"
        guard case .table(let parts)? = table["record"] else { throw problem(inside, "expected a table") }
        for key in parts.keys.sorted() where !Self.recordKeys.contains(key) {
            let known = Self.recordKeys.sorted().joined(separator: ", ")
            throw problem(inside, "unknown key \(key); a record has \(known)")
        }
        let time = try time(parts, "timestamp", index, inside)
        let record = CaseRecord(
            topicPartition: TopicPartition(topic: try topic(table, place), partition: 0), offset: Int64(index),
            timestampMs: time.microseconds / 1_000, keyBytes: try text(parts, "key", inside).map { Array($0.utf8) },
            valueBytes: try json(parts["value"], "\(inside).value"), headers: try headers(parts["headers"], inside))
        do throws(EventFailure) {
            return try folder.policies[record.topicPartition.topic].envelope.event(of: record)
        } catch {
            throw problem(inside, "sql-projection cannot read it: \(error)")
        }
    }

    private func headers(_ value: TOMLValue?, _ place: String) throws(FolderProblem) -> [String: String] {
        guard let value else { return [:] }
        guard case .table(let table) = value else { throw problem("\(place).headers", "expected a table of strings") }
        var headers: [String: String] = [:]
        for name in table.keys { headers[name] = try text(table, name, "\(place).headers") }
        return headers
    }

    private func topic(_ table: [String: TOMLValue], _ place: String) throws(FolderProblem) -> String {
        let topic = try text(table, "topic", place) ?? folder.topics.first ?? ""
        guard folder.topics.contains(topic) else {
            throw problem("\(place).topic", "\(topic) is not in projection.topics")
        }
        return topic
    }

    /// Without a time, the events have a distance of one minute.
    private func time(
        _ table: [String: TOMLValue], _ key: String, _ index: Int, _ place: String
    ) throws(FolderProblem) -> Timestamp {
        guard let text = try text(table, key, place) else {
            return Timestamp(microseconds: 1_777_593_600_000_000 + Int64(index) * 60_000_000)
        }
        guard let time = Timestamp(text) else {
            throw problem("\(place).\(key)", "expected \(TimestampParseError.form)")
        }
        return time
    }

    private func text(
        _ table: [String: TOMLValue], _ key: String, _ place: String
    ) throws(FolderProblem) -> String? {
        guard let value = table[key] else { return nil }
        guard case .string(let text) = value else { throw problem("\(place).\(key)", "expected a string") }
        return text
    }

    private func required(
        _ table: [String: TOMLValue], _ key: String, _ place: String
    ) throws(FolderProblem) -> String {
        guard let text = try text(table, key, place), !text.isEmpty else { throw problem(place, "\(key) is required") }
        return text
    }

    private func integer(
        _ table: [String: TOMLValue], _ key: String, _ place: String
    ) throws(FolderProblem) -> Int64? {
        guard let value = table[key] else { return nil }
        guard case .integer(let number) = value, number >= 0 else {
            throw problem("\(place).\(key)", "expected a whole number of 0 or more")
        }
        return Int64(number)
    }

    /// A string contains JSON. A table or an array is converted to JSON.
    private func json(_ value: TOMLValue?, _ place: String) throws(FolderProblem) -> [UInt8]? {
        guard let value else { return nil }
        if case .string(let text) = value {
            do {
                var reader = try JSONReader(text.utf8Span.span)
                try reader.skipValue()
                try reader.finish()
            } catch {
                throw problem(place, "is not JSON: \(error)")
            }
            return Array(text.utf8)
        }
        var writer = JSONWriter()
        try write(value, place, to: &writer)
        return writer.finish()
    }

    private func write(_ value: TOMLValue, _ place: String, to writer: inout JSONWriter) throws(FolderProblem) {
        switch value {
        case .string(let text): writer.string(text)
        case .integer(let number): writer.number(Int64(number))
        case .float(let number): writer.raw("\(number)")
        case .boolean(let flag): writer.bool(flag)
        case .date: throw problem(place, "write times as strings")
        case .array(let values):
            writer.beginArray()
            for value in values { try write(value, place, to: &writer) }
            writer.endArray()
        case .table(let table):
            writer.beginObject()
            for (key, value) in table.sorted(by: { $0.key < $1.key }) {
                writer.key(key)
                try write(value, "\(place).\(key)", to: &writer)
            }
            writer.endObject()
        }
    }

    // MARK: expectations

    func expectations(_ value: TOMLValue?) throws(FolderProblem) -> [ProjectionCase.Expectation] {
        var expectations: [ProjectionCase.Expectation] = []
        for (index, table) in try tables(value, "expect").enumerated() {
            let place = "expect[\(index)]"
            for key in table.keys.sorted() where key != "query" && key != "rows" {
                throw problem(place, "unknown key \(key); it has query and rows")
            }
            guard case .array(let rows)? = table["rows"] else {
                throw problem(place, "rows is required and must be an array")
            }
            var values: [[String]] = []
            for row in rows {
                guard case .array(let columns) = row else { throw problem("\(place).rows", "a row must be an array") }
                values.append(columns.map(Self.shown))
            }
            expectations.append(ProjectionCase.Expectation(query: try required(table, "query", place), rows: values))
        }
        return expectations
    }

    private static func shown(_ value: TOMLValue) -> String {
        switch value {
        case .string(let text): text
        case .integer(let number): "\(number)"
        case .float(let number): "\(number)"
        case .boolean(let flag): "\(flag)"
        case .date, .array, .table: "\(value)"
        }
    }
}
