internal import HTTP
internal import Postgres
internal import RequestValues
internal import SQLQueries
internal import StreamCore
internal import Synchronization
internal import WireJSON

/// Answers queries in SQL: `request → parameters → statement → rows → JSON` in one place.
final class SQLQueryReads: Sendable {
    private let queries: SQLQuerySet
    private let pool: ReadPool
    private let pipeline: PipelineWatch
    private let maxWaitSeconds: Int
    private let cache: Mutex<QueryCache>
    private let keepsAnswers: Bool

    /// The pauses between two reads while a request waits for a version.
    private static let firstPause = Duration.milliseconds(10)
    private static let longestPause = Duration.milliseconds(250)

    init(
        _ configuration: SQLQueryConfiguration, _ queries: SQLQuerySet, pool: ReadPool, pipeline: PipelineWatch,
        maxWaitSeconds: Int
    ) {
        self.queries = queries
        self.pool = pool
        self.pipeline = pipeline
        self.maxWaitSeconds = maxWaitSeconds
        cache = Mutex(QueryCache(maxBytes: configuration.cacheBytes))
        keepsAnswers = configuration.cacheBytes > 0
    }

    /// `GET /v1/q/{name}`, and the paths of queries.
    ///
    /// - Parameter path: the query's own path, if the request came by it.
    func answer(_ request: HTTPRequest, _ name: String, at path: QueryPath?) async throws -> HTTPResponse {
        let (query, generation) = try queries.query(name)
        let asked: QueryRequest
        do {
            let inPath = (path?.parameters ?? []).map { ($0, request.parameter($0)) }
            asked = try QueryRequest(
                request.query, path: Dictionary(uniqueKeysWithValues: inPath), of: query.query)
        } catch {
            throw Problems.invalidParameters(error.complaints)
        }
        let deadline = ContinuousClock.now + .seconds(waitSeconds(request, asked))
        // The freshness is read before the rows, so the rows show at least what was committed until then.
        var freshness = pipeline.freshness(of: query.query.reads.map(\.name))
        var page = try await page(of: query, asked, freshness, generation, request)
        if Self.isBehind(page, asked), deadline > .now {
            try await request.working(as: .wait) {
                var pause = Self.firstPause
                repeat {
                    try await Task.sleep(for: min(pause, max(deadline - .now, .zero)))
                    pause = min(pause * 2, Self.longestPause)
                    freshness = pipeline.freshness(of: query.query.reads.map(\.name))
                    page = try await read(query, asked)
                } while Self.isBehind(page, asked) && deadline > .now
            }
        }
        if let minVersion = asked.minVersion, Self.isBehind(page, asked) {
            throw Problems.readModelBehind(current: page.version, requested: minVersion, retryAfterSeconds: 1)
        }
        let address = path.map { $0.text { NextLink.encoded(request.parameter($0)) } } ?? QueryDocumentation.path(name)
        return response(page, asked, freshness, request, address)
    }

    private static func isBehind(_ page: QueryPage, _ asked: QueryRequest) -> Bool {
        asked.minVersion.map { (page.version ?? 0) < $0 } ?? false
    }

    private func waitSeconds(_ request: HTTPRequest, _ asked: QueryRequest) -> Int {
        guard asked.minVersion != nil else { return 0 }
        return min(Preferences(field: request.header("prefer")).waitSeconds ?? 0, maxWaitSeconds)
    }

    // MARK: rows

    private func page(
        of query: PreparedQuery, _ asked: QueryRequest, _ freshness: PipelineWatch.Freshness, _ generation: UInt64,
        _ request: HTTPRequest
    ) async throws -> QueryPage {
        guard keepsAnswers, let lifetime = query.query.cacheMs else { return try await search(query, asked, request) }
        let key = query.query.name + "?" + asked.canonicalText
        let generations = [generation] + freshness.generations
        let known = cache.withLock { $0.page(key, generations, at: .now) }
        let isGood = known.map { !Self.isBehind($0, asked) } ?? false
        SQLQueryMetrics.note(query.query.name, isHit: isGood)
        if let known, isGood { return known }
        let page = try await search(query, asked, request)
        cache.withLock { cache in
            let now = ContinuousClock.now
            cache.keep(page, key, generations, until: now + .milliseconds(lifetime), at: now)
        }
        return page
    }

    private func search(
        _ query: PreparedQuery, _ asked: QueryRequest, _ request: HTTPRequest
    ) async throws -> QueryPage {
        try await request.working(as: .search) { try await read(query, asked) }
    }

    private func read(_ query: PreparedQuery, _ asked: QueryRequest) async throws -> QueryPage {
        let results: [QueryResult]
        do throws(ReadError) {
            let statements: Statements
            do { statements = try query.statements(for: asked) } catch { throw ReadError(error) }
            results = try await pool.read(statements, .search)
        } catch {
            if case .refused(let error) = error, asked.position != nil, error.sqlState?.code.hasPrefix("22") == true {
                throw Problems.invalidParameter("cursor", "must be the cursor of a page of the same request")
            }
            throw error.problem
        }
        return try query.page(of: results, for: asked)
    }

    // MARK: responses

    private func response(
        _ page: QueryPage, _ asked: QueryRequest, _ freshness: PipelineWatch.Freshness, _ request: HTTPRequest,
        _ address: String
    ) -> HTTPResponse {
        let tag = EntityTag(of: page.json.span)
        var headers = [
            (name: "ETag", value: tag.text), (name: "Cache-Control", value: "no-cache"),
            (name: "X-As-Of", value: freshness.asOf?.description ?? "unknown"),
        ]
        if let next = page.next {
            headers.append((name: "Link", value: NextLink.text(address, request.query, cursor: next)))
        }
        let wait = Preferences(field: request.header("prefer")).waitSeconds
        if asked.minVersion != nil, let wait {
            headers.append((name: "Preference-Applied", value: "wait=\(min(wait, maxWaitSeconds))"))
        }
        if let field = request.header("if-none-match"), tag.isNamed(in: field) {
            return HTTPResponse(status: 304, headers: headers)
        }
        headers.append((name: "Content-Type", value: "application/json"))
        return HTTPResponse(status: 200, headers: headers, body: .bytes(page.json))
    }
}
