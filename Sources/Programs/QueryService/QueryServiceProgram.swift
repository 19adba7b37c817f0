public import Daemon
internal import DashboardPage
internal import Foundation
internal import HTTP
internal import HTTPPrograms
internal import Logging
internal import Operations
internal import OrderQueries
public import Postgres
internal import SQLQueries
internal import ServiceLifecycle
public import Settings

/// The daemon `query-service`.
public enum QueryServiceProgram: DaemonProgram {
    public struct Feature: FeatureSettings {
        let http: HTTPSettings
        var queries: QuerySettings
        let page: PageSettings
        let sql: SQLQuerySettings

        public init(from reader: SettingsReader) {
            http = HTTPSettings(from: reader, for: .queries, port: 8_080)
            queries = QuerySettings(from: reader)
            page = PageSettings(from: reader)
            sql = SQLQuerySettings(from: reader, besides: queries.configuration.builtInPaths)
            queries.configuration.sql = sql.configuration
        }

        public static var reloadableKeys: [String] { HTTPSettings.reloadableKeys }

        public func adopt(_ reloaded: Self) { http.adopt(reloaded.http) }
    }

    public static let name = "query-service"
    public static let abstract = "Answers queries about read models over HTTP, and serves the live page."
    public static let operationsPort = 9_405
    public static let needsWrites = false
    public static let metricHelp = QueryMetrics.help
    // Without brokers, the service still answers, but the lag of the answers is unknown.
    public static let needsKafka = false

    public static func migrationSets(for feature: Feature) -> [String] {
        QueryService.migrationSets(for: feature.queries.configuration)
    }

    /// With `read_models = []` it needs no tables of orders, and answers queries of projections in SQL.
    public static func canUse(migrationSets sets: Set<String>) -> Bool {
        sets.isSuperset(of: migrationSets(for: DaemonSettings<Self>.defaults.feature))
            || sets.isSuperset(of: ["projections", "sql-projections"])
    }

    /// Checks the SQL queries by the database.
    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] {
        let sql = feature.sql.configuration
        guard !sql.folders.isEmpty else { return [] }
        let folders = try QueryFolders(sql.folders, besides: feature.queries.configuration.builtInPaths)
        let prepared = try await folders.prepared(
            in: LiveSchemas.load(connection), role: sql.role, on: connection)
        return prepared.missing.map { "\($0)" }
    }

    public static func run(_ feature: Feature, in context: DaemonContext) async throws {
        let service = QueryService(
            configuration: feature.queries.configuration, postgres: context.postgres,
            replica: feature.queries.replica(of: context.postgres), kafka: context.kafka,
            page: files(feature.page, context.logger), logger: context.logger)
        try await service.loadQueries()
        context.files.onReload { try await service.preparedQueries() }
        var http = feature.http.configuration
        http.commonHeaders = service.commonHeaders
        if let origin = feature.page.commandsOrigin { http.allowConnections(to: origin) }
        http.maxWaits = feature.queries.configuration.maxWaiters
        let health = QueryHealth(context, loops: service.loops, workers: service.workers)
        let work = QueryWork(service: service, health: health)
        try await HTTPServer.watched(http, routes: service.routes, in: context).serve(before: work)
    }

    /// The files of the page, and the chart script, which the operating system provides.
    private static func files(_ settings: PageSettings, _ logger: Logger) -> [StaticFile] {
        let path = settings.chartScript
        var files = DashboardPage.files(commandsAt: settings.commands).map {
            StaticFile(path: $0.path, contentType: $0.contentType, bytes: $0.bytes)
        }
        if let script = FileManager.default.contents(atPath: path) {
            files.append(
                StaticFile(
                    path: DashboardPage.chartScriptPath, contentType: "text/javascript; charset=utf-8",
                    bytes: Array(script)))
        } else {
            logger.notice("Chart.js is not installed, so the page shows tables", metadata: ["page.chart_js": "\(path)"])
        }
        return files
    }
}

/// Runs the loops of the service until it stops.
private struct QueryWork: Service {
    let service: QueryService
    let health: QueryHealth

    func run() async {
        await cancelWhenGracefulShutdown { await service.run { health.turned($0) } }
    }
}
