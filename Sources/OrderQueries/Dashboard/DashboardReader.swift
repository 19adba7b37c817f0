internal import Postgres
internal import StreamCore
internal import WireJSON

/// Reads the sections of dashboards: `statements → rows → JSON`.
struct DashboardReader {
    let connection: PostgresConnection
    let timeoutMs: Int

    /// The sections that are the same for every window.
    struct Shared: Sendable {
        let statuses: [UInt8]
        let latestOrders: [UInt8]
    }

    /// A number that changes when a projection commits.
    func progress() async throws(PostgresError) -> Int64 {
        try await connection.execute(DashboardStatements.progress, timeoutMs: timeoutMs).int64(0, 0)
    }

    func shared() async throws(PostgresError) -> Shared {
        let results = try await connection.pipeline(
            [(DashboardStatements.statuses, Parameters()), (DashboardStatements.latestOrders, Parameters())],
            timeoutMs: timeoutMs)
        return Shared(
            statuses: try Self.statuses(results[0]), latestOrders: try Self.latestOrders(results[1]))
    }

    /// Fills in the sections that depend on the window.
    func fill(_ document: inout DashboardDocument) async throws(PostgresError) {
        var span = Parameters()
        span.append(document.window.resolution)
        span.append(document.from)
        span.append(document.to)
        var days = Parameters()
        days.append(day: document.from.day)
        days.append(day: Timestamp(microseconds: document.to.microseconds - 1).day)
        let results = try await connection.pipeline(
            [
                (DashboardStatements.series, span), (DashboardStatements.totals, span),
                (DashboardStatements.topProducts, days), (DashboardStatements.durations, days),
            ], timeoutMs: timeoutMs)
        document[.series] = try Self.series(results[0])
        document[.totals] = try Self.totals(results[1])
        document[.topProducts] = try Self.topProducts(results[2])
        document[.durations] = try Self.durations(results[3])
    }

    // MARK: rows → JSON

    private static func series(_ rows: QueryResult) throws(PostgresError) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        var currency: String?
        for index in 0..<rows.rowCount {
            let row = RowWriter(rows: rows, row: index)
            let own = try rows.string(index, 0)
            if own != currency {
                if currency != nil { endSeries(&writer) }
                currency = own
                writer.beginObject()
                writer.key("currency")
                writer.string(own)
                writer.key("buckets")
                writer.beginArray()
            }
            writer.beginObject()
            try row.time("at", 1, &writer)
            try counts(row, from: 2, &writer)
            writer.endObject()
        }
        if currency != nil { endSeries(&writer) }
        writer.endArray()
        return writer.finish()
    }

    private static func endSeries(_ writer: inout JSONWriter) {
        writer.endArray()
        writer.endObject()
    }

    private static func totals(_ rows: QueryResult) throws(PostgresError) -> [UInt8] {
        try array(rows) { (row, writer) throws(PostgresError) in
            try row.text("currency", 0, &writer)
            try counts(row, from: 1, &writer)
        }
    }

    private static func counts(_ row: RowWriter, from column: Int, _ writer: inout JSONWriter) throws(PostgresError) {
        try row.number("ordersCreated", column, &writer)
        try row.number("ordersConfirmed", column + 1, &writer)
        try row.number("ordersPaid", column + 2, &writer)
        try row.number("ordersDelivered", column + 3, &writer)
        try row.number("ordersCancelled", column + 4, &writer)
        try row.number("paymentsCompleted", column + 5, &writer)
        try row.number("paymentsFailed", column + 6, &writer)
        try row.number("paymentsRefunded", column + 7, &writer)
        try row.amount("revenue", column + 8, &writer)
        try row.amount("refunds", column + 9, &writer)
    }

    private static func statuses(_ rows: QueryResult) throws(PostgresError) -> [UInt8] {
        try array(rows) { (row, writer) throws(PostgresError) in
            try row.text("status", 0, &writer)
            try row.number("orders", 1, &writer)
        }
    }

    private static func latestOrders(_ rows: QueryResult) throws(PostgresError) -> [UInt8] {
        try array(rows) { (row, writer) throws(PostgresError) in
            try row.text("orderId", 0, &writer)
            try row.text("customerId", 1, &writer)
            try row.text("status", 2, &writer)
            try row.number("itemCount", 3, &writer)
            try row.amount("totalAmount", 4, &writer)
            try row.text("currency", 5, &writer)
            try row.time("createdAt", 6, &writer)
            try row.time("updatedAt", 7, &writer)
        }
    }

    private static func topProducts(_ rows: QueryResult) throws(PostgresError) -> [UInt8] {
        try array(rows) { (row, writer) throws(PostgresError) in
            try row.text("productId", 0, &writer)
            try row.text("name", 1, &writer)
            try row.text("currency", 2, &writer)
            try row.number("units", 3, &writer)
            try row.amount("revenue", 4, &writer)
        }
    }

    private static func durations(_ rows: QueryResult) throws(PostgresError) -> [UInt8] {
        var histograms: [String: DurationHistogram] = [:]
        for row in 0..<rows.rowCount {
            histograms[try rows.string(row, 0), default: DurationHistogram()].append(
                atLeastMs: try rows.int64(row, 1), belowMs: try rows.int64(row, 2), orders: try rows.int64(row, 3))
        }
        var writer = JSONWriter()
        writer.beginArray()
        for step in ["paid", "shipped", "delivered"] {
            guard let histogram = histograms[step], histogram.orders > 0 else { continue }
            writer.beginObject()
            writer.key("step")
            writer.string(step)
            writer.key("orders")
            writer.number(histogram.orders)
            writer.key("p50Ms")
            writer.number(histogram.quantile(percent: 50))
            writer.key("p95Ms")
            writer.number(histogram.quantile(percent: 95))
            writer.endObject()
        }
        writer.endArray()
        return writer.finish()
    }

    private static func array(
        _ rows: QueryResult, _ write: (RowWriter, inout JSONWriter) throws(PostgresError) -> Void
    ) throws(PostgresError) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for index in 0..<rows.rowCount {
            writer.beginObject()
            try write(RowWriter(rows: rows, row: index), &writer)
            writer.endObject()
        }
        writer.endArray()
        return writer.finish()
    }
}

/// The durations of orders, counted in bins in ascending order.
struct DurationHistogram {
    private var bins: [(atLeastMs: Int64, belowMs: Int64, orders: Int64)] = []
    private(set) var orders: Int64 = 0

    mutating func append(atLeastMs: Int64, belowMs: Int64, orders: Int64) {
        bins.append((atLeastMs, belowMs, orders))
        self.orders += orders
    }

    /// The middle of the first bin at which the running sum reaches the percentage; 0 if there are no orders.
    func quantile(percent: Int64) -> Int64 {
        let share = (orders * percent + 99) / 100
        var sum: Int64 = 0
        for bin in bins {
            sum += bin.orders
            if sum >= share { return bin.atLeastMs + (bin.belowMs - 1 - bin.atLeastMs) / 2 }
        }
        return 0
    }
}
