internal import Orders
internal import Postgres
internal import WireJSON

/// Writes orders as JSON. It copies the rows that `OrderStatements` return directly into the bytes of the response.
enum OrderJSON {
    /// The model from which an order was read.
    enum Freshness: String {
        case readModel = "read-model"
        case writeModel = "write-model"
    }

    /// The columns of `OrderStatements.columns`.
    private enum Column {
        static let orderID = 0, customerID = 1, status = 2, paymentStatus = 3, shipmentStatus = 4, isOpen = 5
        static let itemCount = 6, totalAmount = 7, currency = 8, items = 9, shippingAddress = 10
        static let cancellationReason = 11, cancelledBy = 12, cancelledAt = 13
        static let paymentID = 14, paymentAmount = 15, paymentCurrency = 16, paymentMethod = 17, paidAt = 18
        static let failedPaymentID = 19, failureReason = 20, failedAt = 21
        static let refundAmount = 22, refundCurrency = 23, refundReason = 24, refundedAt = 25
        static let shipmentID = 26, carrier = 27, trackingNumber = 28, shippedAt = 29, deliveredAt = 30
        static let createdAt = 31, confirmedAt = 32, updatedAt = 33, version = 34, lastEventID = 35
        // In the write model, these columns follow those of an order.
        static let isCancelled = 36, isCompleted = 37, isUnrefunded = 38, isRefunded = 39, isFailed = 40
        static let knownShipments = 41, deliveredShipments = 42
    }

    /// The statuses of an order of the write model. The row contains the facts, and the domain has the rule.
    private struct Statuses {
        let order: OrderStatus
        let payments: PaymentStatus
        let shipments: ShipmentStatus

        init(_ rows: QueryResult, _ row: Int) throws(PostgresError) {
            payments = PaymentStatus(
                isCompleted: try rows.bool(row, Column.isCompleted),
                isUnrefunded: try rows.bool(row, Column.isUnrefunded),
                isRefunded: try rows.bool(row, Column.isRefunded), isFailed: try rows.bool(row, Column.isFailed))
            shipments = ShipmentStatus(
                known: Int(try rows.int64(row, Column.knownShipments)),
                delivered: Int(try rows.int64(row, Column.deliveredShipments)))
            order = OrderStatus(
                isCreated: true, isConfirmed: !rows.isNull(row, Column.confirmedAt),
                isCancelled: try rows.bool(row, Column.isCancelled), payments: payments, shipments: shipments)
        }

        func write(to writer: inout JSONWriter) {
            writer.key("status")
            writer.string(order.rawValue)
            writer.key("paymentStatus")
            writer.string(payments.rawValue)
            writer.key("shipmentStatus")
            writer.string(shipments.rawValue)
            writer.key("isOpen")
            writer.bool(order.isOpen)
        }
    }

    /// Approximate size of an order, in bytes.
    static let typicalSize = 1_200

    static func version(_ rows: QueryResult, _ row: Int) throws(PostgresError) -> Int64 {
        try rows.int64(row, Column.version)
    }

    /// The position of a row, after which the next page begins.
    static func position(_ rows: QueryResult, _ row: Int, by sort: OrderSort) throws(PostgresError) -> PagePosition {
        let orderID = try rows.string(row, Column.orderID)
        return sort.isByTime
            ? PagePosition(.time(try rows.timestamp(row, Column.createdAt)), orderID)
            : PagePosition(.amount(try rows.numeric(row, Column.totalAmount)), orderID)
    }

    static func write(
        _ rows: QueryResult, _ row: Int, _ freshness: Freshness, to writer: inout JSONWriter
    ) throws {
        let order = RowWriter(rows: rows, row: row)
        writer.beginObject()
        try order.text("orderId", Column.orderID, &writer)
        try order.text("customerId", Column.customerID, &writer)
        switch freshness {
        case .readModel:
            try order.text("status", Column.status, &writer)
            try order.text("paymentStatus", Column.paymentStatus, &writer)
            try order.text("shipmentStatus", Column.shipmentStatus, &writer)
            writer.key("isOpen")
            writer.bool(try rows.bool(row, Column.isOpen))
        case .writeModel: try Statuses(rows, row).write(to: &writer)
        }
        writer.key("itemCount")
        writer.number(try rows.optionalInt64(row, Column.itemCount) ?? 0)
        try order.amount("totalAmount", Column.totalAmount, &writer)
        try order.text("currency", Column.currency, &writer)
        writer.key("items")
        try writeItems(rows.textBytes(row, Column.items), to: &writer)
        writer.key("shippingAddress")
        let address = try rows.textBytes(row, Column.shippingAddress)
        if address.isEmpty { writer.null() } else { writer.raw(address) }
        try writeFates(order, &writer)
        try order.time("createdAt", Column.createdAt, &writer)
        try order.time("confirmedAt", Column.confirmedAt, &writer)
        try order.time("updatedAt", Column.updatedAt, &writer)
        writer.key("version")
        writer.number(try rows.int64(row, Column.version))
        writer.key("lastEventId")
        writer.string(try rows.eventID(row, Column.lastEventID))
        writer.key("freshness")
        writer.string(freshness.rawValue)
        writer.endObject()
    }

    /// Writes what happened to the order. Each member is an object or null.
    private static func writeFates(_ order: RowWriter, _ writer: inout JSONWriter) throws {
        try order.object("cancellation", ifPresent: Column.cancelledAt, &writer) { (writer) throws(PostgresError) in
            try order.text("reason", Column.cancellationReason, &writer)
            try order.text("by", Column.cancelledBy, &writer)
            try order.time("at", Column.cancelledAt, &writer)
        }
        try order.object("payment", ifPresent: Column.paidAt, &writer) { (writer) throws(PostgresError) in
            try order.text("paymentId", Column.paymentID, &writer)
            try order.amount("amount", Column.paymentAmount, &writer)
            try order.text("currency", Column.paymentCurrency, &writer)
            try order.text("method", Column.paymentMethod, &writer)
            try order.time("at", Column.paidAt, &writer)
        }
        try order.object("paymentFailure", ifPresent: Column.failedAt, &writer) { (writer) throws(PostgresError) in
            try order.text("paymentId", Column.failedPaymentID, &writer)
            try order.text("reason", Column.failureReason, &writer)
            try order.time("at", Column.failedAt, &writer)
        }
        try order.object("refund", ifPresent: Column.refundedAt, &writer) { (writer) throws(PostgresError) in
            try order.amount("amount", Column.refundAmount, &writer)
            try order.text("currency", Column.refundCurrency, &writer)
            try order.text("reason", Column.refundReason, &writer)
            try order.time("at", Column.refundedAt, &writer)
        }
        try order.object("shipment", ifPresent: Column.shipmentID, &writer) { (writer) throws(PostgresError) in
            try order.text("shipmentId", Column.shipmentID, &writer)
            try order.text("carrier", Column.carrier, &writer)
            try order.text("trackingNumber", Column.trackingNumber, &writer)
            try order.time("shippedAt", Column.shippedAt, &writer)
            try order.time("deliveredAt", Column.deliveredAt, &writer)
        }
    }

    /// Writes the lines without the members that only the projection needs. If no lines of the order are known, the
    /// array is empty.
    private static func writeItems(_ items: Span<UInt8>, to writer: inout JSONWriter) throws {
        writer.beginArray()
        if !items.isEmpty {
            var reader = try JSONReader(items)
            try reader.enterArray()
            while try reader.nextElement() { try writeItem(&reader, to: &writer) }
        }
        writer.endArray()
    }

    private static func writeItem(_ reader: inout JSONReader, to writer: inout JSONWriter) throws {
        // PostgreSQL orders the members of JSON objects by its own rule. The response always has this order.
        var (product, name, quantity, price) = (0..<0, 0..<0, 0..<0, 0..<0)
        try reader.enterObject()
        while let key = try reader.nextKey() {
            if reader.matches(key, "productId") {
                product = try reader.skipValue()
            } else if reader.matches(key, "name") {
                name = try reader.skipValue()
            } else if reader.matches(key, "quantity") {
                quantity = try reader.skipValue()
            } else if reader.matches(key, "unitPrice") {
                price = try reader.skipValue()
            } else {
                try reader.skipValue()
            }
        }
        writer.beginObject()
        writer.key("productId")
        writer.raw(reader.span(of: product))
        writer.key("name")
        writer.raw(reader.span(of: name))
        writer.key("quantity")
        writer.raw(reader.span(of: quantity))
        writer.key("unitPrice")
        writer.raw(reader.span(of: price))
        writer.endObject()
    }
}

/// Writes members from the columns of one row; NULL is `null`.
struct RowWriter {
    let rows: QueryResult
    let row: Int

    func text(_ key: StaticString, _ column: Int, _ writer: inout JSONWriter) throws(PostgresError) {
        writer.key(key)
        let bytes = try rows.textBytes(row, column)
        if bytes.isEmpty && rows.isNull(row, column) { return writer.null() }
        writer.string(bytes)
    }

    func time(_ key: StaticString, _ column: Int, _ writer: inout JSONWriter) throws(PostgresError) {
        writer.key(key)
        guard let time = try rows.optionalTimestamp(row, column) else { return writer.null() }
        writer.string(time)
    }

    /// Money as a string of its exact digits.
    func amount(_ key: StaticString, _ column: Int, _ writer: inout JSONWriter) throws(PostgresError) {
        writer.key(key)
        guard let amount = try rows.optionalNumeric(row, column) else { return writer.null() }
        writer.string(amount)
    }

    func number(_ key: StaticString, _ column: Int, _ writer: inout JSONWriter) throws(PostgresError) {
        writer.key(key)
        if rows.isNull(row, column) { return writer.null() }
        writer.number(try rows.int64(row, column))
    }

    func object(
        _ key: StaticString, ifPresent column: Int, _ writer: inout JSONWriter,
        _ body: (inout JSONWriter) throws(PostgresError) -> Void
    ) throws(PostgresError) {
        writer.key(key)
        if rows.isNull(row, column) { return writer.null() }
        writer.beginObject()
        try body(&writer)
        writer.endObject()
    }
}
