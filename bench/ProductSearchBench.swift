import Foundation
import Migrations
import Postgres
import SQLProjections
import StreamCore

/// A search in 1,000,000 products with the folder `projections/product-search` and its query: words, category and
/// price, like the page of a shop. The bench measures the answers a second, and the latency at half that rate.
enum ProductSearchBench {
    static let name = "product-search"
    static let products = 1_000_000
    private static let connections = 8
    private static let seconds = 10

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "projections/product-search").path

    @Sendable static func run(on servers: BenchServers) async throws -> [BenchResult] {
        try await Migrator(servers.postgres).up(["sql-projections"])
        let folder = try ProjectionFolder(path: root)
        try await seed(folder, servers.postgres)
        let service = try await QueryServiceUnderLoad.start(
            on: servers,
            settings: ["sql_queries.folders": root + "/queries", "queries.read_timeout_ms": "10000"])
        var results: [BenchResult] = []
        for (suffix, targets) in [("", searches), ("-mistyped", mistyped), ("-common", common)] {
            let client = try LoadClient(
                port: service.port, connections: connections, requests: targets.map { request($0) })
            let closed = try await client.run(warmUp: .seconds(2), measured: .seconds(seconds))
            let paced = try await client.run(
                warmUp: .seconds(1), measured: .seconds(seconds), rate: closed.perSecond / 2)
            for outcome in [closed, paced] where !outcome.refusals.isEmpty {
                throw BenchError("\(name): answers that are not 200: \(outcome.refusals)")
            }
            var result = BenchResult(name: name + suffix)
            result.events = closed.requests
            result.seconds = closed.seconds
            result.eventsPerS = closed.perSecond
            result.peakRssMib = try service.process.peakResidentMiB()
            result.take(paced.latencies)
            results.append(result)
            say(result.line())
        }
        try await service.process.stop()
        return results
    }

    // MARK: queries

    private static let adjectives = [
        "wireless", "compact", "portable", "silent", "classic", "premium", "smart", "foldable", "rugged", "solar",
        "digital", "organic", "ergonomic", "vintage", "modular", "waterproof", "magnetic", "adjustable", "ultralight",
        "recycled",
    ]
    private static let nouns = [
        "headphones", "keyboard", "mouse", "speaker", "charger", "lamp", "backpack", "bottle", "kettle", "blender",
        "chair", "desk", "monitor", "camera", "tripod", "watch", "jacket", "tent", "bicycle", "helmet", "drill",
        "hammer", "notebook", "pencil", "pillow", "blanket", "curtain", "mirror", "clock", "fan",
    ]
    private static let categories = ["Electronics", "Home", "Outdoor", "Office", "Tools"]

    /// Two words, a category and a price, sorted in each way.
    private static var searches: [String] {
        adjectives.flatMap { adjective in
            nouns.enumerated().map { index, noun in
                let category = categories[index % categories.count]
                let sort = ["relevance", "relevance", "sales", "rating"][index % 4]
                return "/v1/q/product-search?q=\(adjective)+\(noun)&max_price=100&category=\(category)&sort=\(sort)"
            }
        }
    }

    /// The same searches with one letter missing in each word.
    private static var mistyped: [String] {
        searches.map {
            $0.replacing("less+", with: "les+").replacing("ab", with: "b").replacing("phones", with: "hones")
        }
    }

    /// Searches for one word that every twentieth product has.
    private static var common: [String] { adjectives.map { "/v1/q/product-search?q=\($0)" } }

    // MARK: the catalogue

    /// Creates the version and fills its tables directly. The indexes are created at the end.
    private static func seed(_ folder: ProjectionFolder, _ postgres: PostgresConfiguration) async throws {
        var unhurried = postgres
        unhurried.statementTimeoutMs = 1_800_000
        unhurried.settings["maintenance_work_mem"] = "512MB"
        let connection = try await PostgresConnection.connect(unhurried)
        try await VersionSchema(folder, isIsolated: false).prepare(connection)
        func list(_ words: [String]) -> String { "ARRAY['\(words.joined(separator: "','"))']" }
        try await connection.execute(
            script: """
                SET search_path TO \(folder.schemaName), public;
                CREATE TEMPORARY TABLE indexes AS SELECT indexname, indexdef FROM pg_indexes
                WHERE schemaname = '\(folder.schemaName)' AND tablename = 'products' AND indexname <> 'products_pkey';
                DO $$
                DECLARE name text;
                BEGIN
                    FOR name IN SELECT indexname FROM indexes LOOP EXECUTE format('DROP INDEX %I', name); END LOOP;
                END
                $$;
                INSERT INTO products (product_id, details_sequence, name, description, category, tags, price_sequence,
                    price, currency, rating_sum, rating_count, units_sold)
                SELECT 'product-' || n, 1,
                    initcap((\(list(adjectives)))[1 + n % 20] || ' ' || (\(list(nouns)))[1 + n / 20 % 30])
                        || ' ' || upper(left(md5(n::text), 5)),
                    'A ' || (\(list(adjectives)))[1 + (n * 7 + 3) % 20] || ' thing of series ' || n % 997
                        || ', with ' || left(md5('d' || n), 8),
                    (\(list(categories)))[1 + n / 20 % 30 % 5],
                    ARRAY['series' || n % 997, (\(list(nouns)))[1 + (n / 600 * 11) % 30]],
                    1, (n * 7919 % 50000 + 100)::numeric / 100, 'EUR', (n % 5 + 1) * (n % 50), n % 50,
                    (n * 104729 % 1000003) / 100
                FROM generate_series(1::bigint, \(products)) AS n;
                INSERT INTO search_words (word)
                SELECT DISTINCT word
                FROM products, words_of(concat_ws(' ', name, tags::text, description)) AS word ON CONFLICT DO NOTHING;
                DO $$
                DECLARE definition text;
                BEGIN
                    FOR definition IN SELECT indexdef FROM indexes LOOP EXECUTE definition; END LOOP;
                END
                $$
                """, timeoutMs: 1_800_000)
        try await connection.execute(
            script: "VACUUM (ANALYZE) \(folder.schemaName).products", timeoutMs: 1_800_000)
        try await connection.execute(
            script: "VACUUM (ANALYZE) \(folder.schemaName).search_words", timeoutMs: 1_800_000)
        try await connection.execute(script: "CHECKPOINT", timeoutMs: 900_000)
        await connection.close()
        say("\(products) products are in the read model")
    }
}
