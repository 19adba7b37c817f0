internal import StreamCore
internal import WireJSON

/// The state of the pipeline at one time, in the forms that responses contain.
struct PipelineSnapshot: Sendable {
    /// The section `pipeline` of a dashboard.
    var json: [UInt8] = Array("null".utf8)
    /// The JSON list of projections in that section.
    var projections: [UInt8] = Array("[]".utf8)
    /// The time up to which the read models show everything that was committed.
    var asOf: Timestamp?
    /// The same as the text of a response's header.
    var asOfText = "unknown"

    init() {}

    /// - Parameter bounded: returns the time, or an earlier one; nil if it cannot be known.
    init(
        _ tracker: PipelineTracker, _ outbox: OutboxReading?, _ letters: DeadLetterReading?, at now: Timestamp,
        bounded: (Timestamp?) -> Timestamp? = { $0 }
    ) {
        // The events that wait in the outbox are not in Kafka yet, and so in no read model.
        asOf = bounded(tracker.asOf().map { min($0, outbox?.oldest ?? $0) })
        if let asOf { asOfText = asOf.description }
        projections = Self.json(of: tracker.reports(at: now))
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("outbox")
        Self.write(outbox, at: now, &writer)
        writer.key("projections")
        writer.raw(projections.span)
        writer.key("deadLetters")
        Self.write(letters, &writer)
        writer.key("rates")
        writer.beginObject()
        writer.key("inPerSecond")
        Self.write(tracker.inPerSecond, &writer)
        writer.key("outPerSecond")
        Self.write(tracker.outPerSecond, &writer)
        writer.endObject()
        writer.endObject()
        json = writer.finish()
    }

    private static func json(of reports: [PipelineTracker.Report]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for report in reports {
            writer.beginObject()
            writer.key("name")
            writer.string(report.name)
            writer.key("version")
            writer.number(report.version)
            writer.key("state")
            writer.string(report.state.rawValue)
            writer.key("asOf")
            if let asOf = report.asOf { writer.string(asOf) } else { writer.null() }
            writer.key("lagRecords")
            write(report.lagRecords, &writer)
            writer.key("lagSeconds")
            write(report.lagSeconds, &writer)
            writer.key("eventsPerSecond")
            write(report.eventsPerSecond, &writer)
            writer.key("partitions")
            writer.beginArray()
            for partition in report.partitions { write(partition, &writer) }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        return writer.finish()
    }

    private static func write(_ partition: PipelineTracker.Partition, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("topic")
        writer.string(partition.partition.topic)
        writer.key("partition")
        writer.number(partition.partition.partition)
        writer.key("nextOffset")
        writer.number(partition.next)
        writer.key("endOffset")
        write(partition.end, &writer)
        writer.key("lag")
        write(partition.lag, &writer)
        writer.key("state")
        writer.string(partition.state.rawValue)
        writer.endObject()
    }

    private static func write(_ outbox: OutboxReading?, at now: Timestamp, _ writer: inout JSONWriter) {
        guard let outbox else { return writer.null() }
        writer.beginObject()
        writer.key("backlog")
        writer.number(outbox.backlog)
        writer.key("backlogIsAtLeast")
        writer.bool(outbox.backlogIsAtLeast)
        writer.key("oldestAgeSeconds")
        write(outbox.oldest.map { Double(max(now.microseconds - $0.microseconds, 0)) / 1_000_000 }, &writer)
        writer.key("failed")
        writer.number(outbox.failed)
        writer.endObject()
    }

    private static func write(_ letters: DeadLetterReading?, _ writer: inout JSONWriter) {
        guard let letters else { return writer.null() }
        writer.beginObject()
        writer.key("open")
        writer.number(letters.open)
        writer.key("groups")
        writer.beginArray()
        for group in letters.groups {
            writer.beginObject()
            writer.key("consumer")
            writer.string(group.consumer)
            writer.key("errorClass")
            writer.string(group.errorClass)
            writer.key("fingerprint")
            writer.string(group.fingerprint)
            writer.key("message")
            writer.string(group.message)
            writer.key("count")
            writer.number(group.count)
            writer.key("firstSeen")
            writer.string(group.firstSeen)
            writer.key("lastSeen")
            writer.string(group.lastSeen)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
    }

    private static func write(_ value: Int64?, _ writer: inout JSONWriter) {
        if let value { writer.number(value) } else { writer.null() }
    }

    /// Writes a number with one decimal, because more decimals only change with each measurement.
    private static func write(_ value: Double?, _ writer: inout JSONWriter) {
        guard let value, value.isFinite else { return writer.null() }
        let tenths = Int64((value * 10).rounded())
        writer.raw("\(tenths / 10).\(abs(tenths % 10))")
    }
}
