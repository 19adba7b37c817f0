/// The spans that have ended and are not exported yet. A span that comes while the queue is full is dropped.
///
/// This is a pure value.
struct SpanQueue {
    /// The result of adding a span.
    enum Admission: Equatable {
        case queued
        /// The span completed a batch, which should be exported now.
        case batchIsFull
        case dropped
    }

    let capacity: Int
    let batchSize: Int
    private var spans: [FinishedSpan] = []

    init(capacity: Int, batchSize: Int) {
        self.capacity = capacity
        self.batchSize = min(batchSize, capacity)
    }

    var count: Int { spans.count }

    mutating func append(_ span: FinishedSpan) -> Admission {
        guard spans.count < capacity else { return .dropped }
        spans.append(span)
        return spans.count.isMultiple(of: batchSize) ? .batchIsFull : .queued
    }

    /// Removes and returns the oldest spans, at most one batch.
    mutating func takeBatch() -> [FinishedSpan] {
        let batch = Array(spans.prefix(batchSize))
        spans.removeFirst(batch.count)
        return batch
    }
}
