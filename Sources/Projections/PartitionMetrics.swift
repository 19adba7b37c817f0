internal import Metrics
internal import StreamCore

/// The metrics of one partition. Only its owner reports them.
struct PartitionMetrics {
    var lag = PartitionLag()
    private(set) var lagSeconds = 0.0

    private let dimensions: [(String, String)]
    private var nextOffset: Gauge?
    private var records: Gauge?
    private var seconds: Gauge?
    private var logStart: Gauge?

    /// - Parameters:
    ///   - partition: the partition.
    ///   - dimensions: the labels of the projection.
    init(_ partition: TopicPartition, _ dimensions: [(String, String)]) {
        self.dimensions = dimensions + [("topic", partition.topic), ("partition", String(partition.partition))]
    }

    private static func label(_ name: String) -> String { "millrace_projection_\(name)" }

    /// Updates the metrics of the position.
    ///
    /// - Parameters:
    ///   - next: the next offset to apply.
    ///   - end: the offset after the partition's last record; nil if it is unknown.
    mutating func stands(at next: Int64, of end: Int64?) {
        record(next, in: &nextOffset, "next_offset")
        guard let end else { return }
        lagSeconds = lag.seconds(next: next, end: end, nowMs: Timestamp.now.microseconds / 1_000)
        record(max(0, end - next), in: &records, "lag_records")
        record(lagSeconds, in: &seconds, "lag_seconds")
    }

    /// - Parameter offset: the offset of the oldest record that Kafka has.
    mutating func logBegins(at offset: Int64) {
        record(offset, in: &logStart, "log_start_offset")
    }

    /// Records a value. A gauge is created with its first value, because it would otherwise show 0.
    private func record(_ value: some BinaryFloatingPoint, in gauge: inout Gauge?, _ name: String) {
        made(&gauge, name).record(value)
    }

    private func record(_ value: some BinaryInteger, in gauge: inout Gauge?, _ name: String) {
        made(&gauge, name).record(value)
    }

    private func made(_ gauge: inout Gauge?, _ name: String) -> Gauge {
        let made = gauge ?? Gauge(label: Self.label(name), dimensions: dimensions)
        gauge = made
        return made
    }

    func destroy() {
        for gauge in [nextOffset, records, seconds, logStart] { gauge?.destroy() }
    }
}
