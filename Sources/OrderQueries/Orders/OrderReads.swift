internal import HTTP
internal import Postgres
internal import RequestValues
internal import StreamCore
internal import WireJSON

/// Answers requests for orders: `request → parameters → statement → rows → JSON` in one place.
struct OrderReads: Sendable {
    let pool: ReadPool
    let watcher: VersionWatcher
    /// Whether to read an order from the write model if the read model does not have it.
    let fallsBack: Bool
    /// Maximum time that a request may wait for a version, in seconds.
    let maxWaitSeconds: Int

    // MARK: one order

    /// `GET /v1/orders/{id}`.
    func order(_ request: HTTPRequest) async throws -> HTTPResponse {
        let orderID = request.parameter("id")
        var requested: Int64?
        if let complaint = Identifier.problem(of: orderID) { throw Problems.invalidParameter("id", complaint) }
        if !request.query.isEmpty {
            var parameters = QueryParameters(request.query, names: ["min_version"])
            requested = parameters.integer("min_version", in: 1...Int64.max)
            try parameters.check()
        }
        let readAt = ContinuousClock.now
        let deadline = readAt + .seconds(waitSeconds(request, requested))
        var (rows, freshness) = (try await read(OrderStatements.byID, orderID), OrderJSON.Freshness.readModel)
        var behind = try versionsBehind(rows, requested)
        if behind != nil && fallsBack {
            let written = try await read(OrderStatements.byIDFromWriteModel, orderID)
            if try versionsBehind(written, requested) == nil {
                (rows, freshness, behind) = (written, .writeModel, nil)
            } else if requested == nil {
                // Neither model has the order.
                behind = nil
            }
        }
        if behind != nil, let requested, deadline > .now {
            let reached = try await request.working(as: .wait) {
                do throws(ReadError) {
                    return try await watcher.wait(
                        for: orderID, version: requested, readAt: readAt, until: deadline)
                } catch {
                    throw error.problem
                }
            }
            rows = if let reached { reached } else { try await read(OrderStatements.byID, orderID) }
            behind = try versionsBehind(rows, requested)
        }
        if let behind, let requested {
            throw Problems.readModelBehind(current: behind.current, requested: requested, retryAfterSeconds: 1)
        }
        guard let row = rows.range.first else { throw Problems.unknownOrder() }
        return try response(rows.result, row, freshness, request, hasWaited: requested != nil)
    }

    /// The read model does not have the order, or not the requested version of it.
    private struct Behind {
        /// The version in the read model; nil if it has no row.
        let current: Int64?
    }

    private func versionsBehind(_ rows: ReadRows, _ requested: Int64?) throws -> Behind? {
        guard let row = rows.range.first else { return requested == nil && !fallsBack ? nil : Behind(current: nil) }
        let current = try OrderJSON.version(rows.result, row)
        return current < requested ?? 0 ? Behind(current: current) : nil
    }

    private func waitSeconds(_ request: HTTPRequest, _ requested: Int64?) -> Int {
        guard requested != nil, let prefer = request.header("prefer") else { return 0 }
        return min(Preferences(field: prefer).waitSeconds ?? 0, maxWaitSeconds)
    }

    private func read(_ statement: Statement, _ key: String) async throws -> ReadRows {
        do { return try await pool.rows(of: ReadKey(text: key), by: statement) } catch { throw error.problem }
    }

    private func response(
        _ rows: QueryResult, _ row: Int, _ freshness: OrderJSON.Freshness, _ request: HTTPRequest, hasWaited: Bool
    ) throws -> HTTPResponse {
        var writer = JSONWriter(capacity: OrderJSON.typicalSize)
        try OrderJSON.write(rows, row, freshness, to: &writer)
        let body = writer.finish()
        let tag = EntityTag(version: try OrderJSON.version(rows, row), of: body.span)
        var headers = [(name: "ETag", value: tag.text), (name: "Cache-Control", value: "no-cache")]
        if hasWaited, let applied = appliedPreference(request) {
            headers.append((name: "Preference-Applied", value: applied))
        }
        if let field = request.header("if-none-match"), tag.isNamed(in: field) {
            return HTTPResponse(status: 304, headers: headers)
        }
        headers.append((name: "Content-Type", value: "application/json"))
        return HTTPResponse(status: 200, headers: headers, body: .bytes(body))
    }

    private func appliedPreference(_ request: HTTPRequest) -> String? {
        guard let seconds = Preferences(field: request.header("prefer")).waitSeconds else { return nil }
        return "wait=\(min(seconds, maxWaitSeconds))"
    }

    // MARK: lists

    /// `GET /v1/orders`.
    func orders(_ request: HTTPRequest) async throws -> HTTPResponse {
        try await page(OrderSearch(request.query), of: request, path: "/v1/orders")
    }

    /// `GET /v1/customers/{id}/orders`.
    func ordersOfCustomer(_ request: HTTPRequest) async throws -> HTTPResponse {
        let customer = try customer(of: request)
        let path = "/v1/customers/\(NextLink.encoded(customer))/orders"
        return try await page(OrderSearch(request.query, customer: customer), of: request, path: path)
    }

    private func customer(of request: HTTPRequest) throws(Problem) -> String {
        let customer = request.parameter("id")
        if let complaint = Identifier.problem(of: customer) { throw Problems.invalidParameter("id", complaint) }
        return customer
    }

    private func page(
        _ search: OrderSearch, of request: HTTPRequest, path: String
    ) async throws -> HTTPResponse {
        let (page, total) = try await rows(of: search, for: request)
        let (rows, shown) = (page.result, page.range.prefix(search.limit))
        let next =
            page.count > search.limit
            ? PageCursor.text(
                try OrderJSON.position(rows, shown.upperBound - 1, by: search.filter.sort), for: search.filter) : nil
        var writer = JSONWriter(capacity: shown.count * OrderJSON.typicalSize + 256)
        writer.beginObject()
        writer.key("orders")
        writer.beginArray()
        for row in shown { try OrderJSON.write(rows, row, .readModel, to: &writer) }
        writer.endArray()
        writer.key("next")
        if let next { writer.string(next) } else { writer.null() }
        if let total {
            writer.key("total")
            writer.number(total)
        }
        writer.endObject()
        var headers = Self.jsonHeaders
        if let next { headers.append((name: "Link", value: NextLink.text(path, request.query, cursor: next))) }
        return HTTPResponse(status: 200, headers: headers, body: .bytes(writer.finish()))
    }

    /// Reads the rows of the page, plus one if there is a next page. If the total is requested, it counts all matching
    /// orders.
    private func rows(
        of search: OrderSearch, for request: HTTPRequest
    ) async throws -> (page: ReadRows, total: Int64?) {
        if let page = CustomerPage(search) {
            do {
                return (try await pool.rows(of: page.key, by: page.statement, cost: CustomerPage.cost), nil)
            } catch {
                throw error.problem
            }
        }
        let statement = try SearchStatement(search)
        let results = try await request.working(as: .search) {
            do throws(ReadError) { return try await pool.read(statement.statements, .search) } catch {
                throw error.problem
            }
        }
        let page = results[statement.pageIndex]
        let total = try statement.totalIndex.map { try results[$0].int64(0, 0) }
        return (ReadRows(result: page, range: 0..<page.rowCount), total)
    }

    // MARK: customers

    /// `GET /v1/customers/{id}/summary`.
    func customerSummary(_ request: HTTPRequest) async throws -> HTTPResponse {
        let customer = try customer(of: request)
        try QueryParameters(request.query, names: []).check()
        let rows = try await read(OrderStatements.customer, customer)
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("customerId")
        writer.string(customer)
        writer.key("totals")
        writer.beginArray()
        for index in rows.range {
            let row = RowWriter(rows: rows.result, row: index)
            writer.beginObject()
            try row.text("currency", 0, &writer)
            try row.number("orders", 1, &writer)
            try row.number("cancelled", 2, &writer)
            try row.amount("spent", 3, &writer)
            try row.amount("refunded", 4, &writer)
            try row.time("lastOrderAt", 5, &writer)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return HTTPResponse(status: 200, headers: Self.jsonHeaders, body: .bytes(writer.finish()))
    }

    static let jsonHeaders = [
        (name: "Content-Type", value: "application/json"), (name: "Cache-Control", value: "no-cache"),
    ]
}

/// The `Link` field for the next page (RFC 8288): the same request with another cursor.
enum NextLink {
    /// - Parameter path: percent-encoded.
    static func text(_ path: String, _ query: [(name: String, value: String)], cursor: String) -> String {
        let parameters = query.filter { $0.name != "cursor" } + [("cursor", cursor)]
        let text = parameters.map { "\(encoded($0.name))=\(encoded($0.value))" }.joined(separator: "&")
        return "<\(path)?\(text)>; rel=\"next\""
    }

    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Percent-encodes all characters except the unreserved ones (RFC 3986, section 2.3).
    static func encoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
