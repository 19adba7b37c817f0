internal import HTTP
internal import Logging
internal import Postgres
internal import SQLQueries
internal import SQLText
internal import StreamCore
internal import Synchronization

/// The queries that are answered now. All of them are replaced together, or none: when the files are read again, and
/// when another version of a read model becomes live.
final class SQLQuerySet: Sendable {
    private struct State {
        var prepared = PreparedQueries()
        var folders: QueryFolders?
        var schemas = LiveSchemas()
        /// Changes when the queries change.
        var generation: UInt64 = 0
        var document: StaticFile
        /// The last logged error, so that it is logged only once.
        var complaint: String?
    }

    private let configuration: SQLQueryConfiguration
    private let builtInPaths: [String]
    private let session: PostgresSession
    private let logger: Logger
    /// The description of the API without these queries.
    private let description: StaticFile
    private let state: Mutex<State>

    private static let timeoutMs = 5_000
    static let refreshInterval = Duration.seconds(2)

    /// - Parameters:
    ///   - builtInPaths: the paths that are served without these queries.
    ///   - description: the description of the API without these queries.
    init(
        _ configuration: SQLQueryConfiguration, _ postgres: PostgresConfiguration, besides builtInPaths: [String],
        description: StaticFile, logger: Logger
    ) {
        self.configuration = configuration
        self.builtInPaths = builtInPaths
        self.description = description
        state = Mutex(State(document: description))
        var postgres = postgres
        postgres.statementTimeoutMs = Self.timeoutMs
        postgres.settings["default_transaction_read_only"] = "on"
        session = PostgresSession(postgres, backoff: Backoff(initial: .milliseconds(100), ceiling: .seconds(2)))
        self.logger = logger
    }

    /// - Returns: the query, and a number that changes when the queries change.
    /// - Throws: a problem if there is no query of this name, or its read model does not exist yet.
    func query(_ name: String) throws(Problem) -> (query: PreparedQuery, generation: UInt64) {
        let (query, isKnown, generation) = state.withLock { state in
            (state.prepared.queries[name], state.folders?.queries[name] != nil, state.generation)
        }
        guard let query else { throw isKnown ? Problems.unavailable() : Problems.notFound() }
        return (query, generation)
    }

    /// The type for the metrics of a query: its name, if there is a query of this name.
    func metricType(_ name: String?) -> String {
        let isKnown = name.map { name in state.withLock { $0.folders?.queries[name] != nil } } ?? false
        return isKnown ? "q/" + (name ?? "") : "q/other"
    }

    /// The queries that have their own paths, by name.
    var paths: [(name: String, path: QueryPath)] {
        let folders = state.withLock { $0.folders }
        return (folders?.queries ?? [:]).compactMap { name, query in query.path.map { (name, $0) } }
    }

    /// The description of the API, including the queries.
    var document: StaticFile { state.withLock { $0.document } }

    /// Reads the folders.
    ///
    /// - Throws: ``InvalidFolder`` with all problems; the queries then stay unchanged. `PostgresError`.
    func load() async throws {
        try await prepare()()
    }

    /// Reads the folders, without a change of the queries.
    ///
    /// - Returns: a function that replaces the current queries by the ones that were read.
    /// - Throws: as ``load()``.
    func prepare() async throws -> @Sendable () -> Void {
        guard !configuration.folders.isEmpty else { return {} }
        let folders = try QueryFolders(configuration.folders, besides: builtInPaths)
        let connection = try await session.connection()
        let schemas = try await LiveSchemas.load(connection)
        let prepared = try await folders.prepared(in: schemas, role: configuration.role, on: connection)
        let document = StaticFile(
            path: description.path, contentType: description.contentType,
            bytes: QueryDocumentation.document(description.bytes, with: Array(folders.queries.values)))
        return { [self] in
            state.withLock { state in
                (state.folders, state.schemas, state.prepared, state.document) = (folders, schemas, prepared, document)
                state.generation += 1
                state.complaint = nil
            }
            for problem in prepared.missing { logger.warning("a query waits for its read model: \(problem)") }
            logger.notice("loaded the queries", metadata: ["queries": "\(prepared.queries.count)"])
        }
    }

    /// Checks periodically whether other versions are live, until the task is cancelled. Without folders it returns at
    /// once.
    ///
    /// - Parameter onTurn: called after each check, even if it failed.
    func run(onTurn: @Sendable () -> Void) async {
        guard !configuration.folders.isEmpty else { return }
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.refreshInterval)
            do {
                try await refresh()
            } catch {
                complain("\(error)")
            }
            onTurn()
        }
    }

    private func refresh() async throws {
        let connection = try await session.connectionAtOnce()
        let schemas = try await LiveSchemas.load(connection)
        let (folders, known, generation) = state.withLock { ($0.folders, $0.schemas, $0.generation) }
        guard let folders, schemas != known else { return }
        let prepared = try await folders.prepared(in: schemas, role: configuration.role, on: connection)
        state.withLock { state in
            // If the files were read again in the meantime, their result is newer.
            guard state.generation == generation else { return }
            (state.schemas, state.prepared) = (schemas, prepared)
            state.generation += 1
            state.complaint = nil
        }
    }

    private func complain(_ text: String) {
        if Task.isCancelled { return }
        let isNew = state.withLock { state in
            defer { state.complaint = text }
            return state.complaint != text
        }
        if isNew { logger.warning("cannot read the live versions of read models", metadata: ["error": "\(text)"]) }
    }
}
