internal import Foundation
public import Postgres
public import SQLText

/// The queries of several folders, each in a file `NAME.sql`.
public struct QueryFolders: Sendable {
    /// By name.
    public let queries: [String: SQLQuery]

    /// Reads the folders.
    ///
    /// - Parameter builtIn: the paths that the service answers without files, such as `/v1/orders/{id}`.
    /// - Throws: ``InvalidFolder`` with all problems of all folders.
    public init(_ paths: [String], besides builtIn: [String] = []) throws(InvalidFolder) {
        var queries: [String: SQLQuery] = [:]
        var problems: [FolderProblem] = []
        for path in paths {
            do throws(FolderProblem) {
                for file in try Self.files(in: path) {
                    do throws(InvalidFolder) {
                        let query = try SQLQuery(file)
                        if let other = queries[query.name] {
                            problems.append(
                                FolderProblem(
                                    "\(other.place.path) already defines a query with this name", at: query.place))
                        }
                        queries[query.name] = query
                    } catch {
                        problems += error.problems
                    }
                }
            } catch {
                problems.append(error)
            }
        }
        problems += Self.pathProblems(of: queries.values.sorted { $0.name < $1.name }, besides: builtIn)
        guard problems.isEmpty else { throw InvalidFolder(problems) }
        self.queries = queries
    }

    /// Finds paths that two queries have, and paths that would take requests from a built-in path.
    private static func pathProblems(of queries: [SQLQuery], besides builtIn: [String]) -> [FolderProblem] {
        let builtIn = builtIn.compactMap { try? QueryPath($0) }
        var problems: [FolderProblem] = []
        var earlier: [(path: QueryPath, query: SQLQuery)] = []
        for query in queries {
            guard let path = query.path else { continue }
            for other in builtIn {
                switch path.overlap(with: other) {
                case .none, .second: continue
                case .same:
                    problems.append(
                        FolderProblem(
                            "the service itself answers \(other.template); choose another path", at: query.pathPlace))
                case .first:
                    problems.append(
                        FolderProblem(
                            """
                            \(path.template) takes requests from \(other.template), which the service itself answers; \
                            choose another path
                            """, at: query.pathPlace))
                }
            }
            if let other = earlier.first(where: { path.overlap(with: $0.path) == .same }) {
                problems.append(
                    FolderProblem("\(other.query.pathPlace) already has this path", at: query.pathPlace))
            }
            earlier.append((path, query))
        }
        return problems
    }

    private static func files(in path: String) throws(FolderProblem) -> [SQLFile] {
        var files: [SQLFile] = []
        do {
            for name in try FileManager.default.contentsOfDirectory(atPath: path).sorted()
            where name.hasSuffix(".sql") && !name.hasPrefix(".") {
                let file = path + "/" + name
                guard let text = String(validating: try Data(contentsOf: URL(filePath: file)), as: UTF8.self) else {
                    throw FolderProblem("\(file): is not UTF-8")
                }
                files.append(SQLFile(path: file, text: text))
            }
        } catch let problem as FolderProblem {
            throw problem
        } catch {
            throw FolderProblem("\(path): cannot be read: \(error.localizedDescription)")
        }
        if files.isEmpty { throw FolderProblem("\(path): no query; add NAME.sql") }
        return files
    }

    /// Prepares all queries by PostgreSQL.
    ///
    /// - Parameters:
    ///   - schemas: the schemas of the read models.
    ///   - role: the role of the queries; nil for the session's role.
    ///   - connection: must not be in a transaction.
    /// - Throws: ``InvalidFolder`` with all problems of all queries; `PostgresError`.
    public func prepared(
        in schemas: LiveSchemas, role: String?, on connection: PostgresConnection
    ) async throws -> PreparedQueries {
        var prepared = PreparedQueries()
        var problems: [FolderProblem] = []
        for query in queries.values.sorted(by: { $0.name < $1.name }) {
            let found: [String]
            do throws(InvalidFolder) {
                found = try schemas.of(query)
            } catch {
                prepared.missing += error.problems
                continue
            }
            do {
                prepared.queries[query.name] = try await PreparedQuery(
                    query, schemas: found, role: role, on: connection)
            } catch let error as InvalidFolder {
                problems += error.problems
            }
        }
        guard problems.isEmpty else { throw InvalidFolder(problems) }
        return prepared
    }
}

/// The queries that a database can run, and the problems of the others.
public struct PreparedQueries: Sendable {
    /// By name.
    public internal(set) var queries: [String: PreparedQuery] = [:]
    /// Read models that do not exist. Their projections may not have started yet.
    public internal(set) var missing: [FolderProblem] = []

    /// None.
    public init() {}
}

/// The schemas of read models.
public struct LiveSchemas: Sendable, Hashable {
    /// One read model.
    private struct ReadModel: Sendable, Hashable {
        /// The schema of each version.
        var versions: [Int: String] = [:]
        /// The schemas of the live version: the schema with its views if they were created, and its own.
        var live: [String]?
    }

    private var readModels: [String: ReadModel] = [:]

    /// None.
    public init() {}

    /// Reads the schemas of all read models.
    ///
    /// - Parameter connection: its search path must contain the tables of the runtime.
    public static func load(_ connection: PostgresConnection) async throws -> LiveSchemas {
        let rows = try await connection.execute(
            .unprepared(
                """
                SELECT s.name, s.version, s.schema_name, coalesce(v.state = 'live', false), w.schema_name
                FROM sql_projections AS s LEFT JOIN projection_versions AS v USING (name, version)
                LEFT JOIN sql_projection_views AS w USING (name)
                """))
        var schemas = LiveSchemas()
        for row in 0..<rows.rowCount {
            let name = try rows.string(row, 0)
            let schema = try rows.string(row, 2)
            schemas.readModels[name, default: ReadModel()].versions[Int(try rows.int32(row, 1))] = schema
            guard try rows.bool(row, 3) else { continue }
            let views = try rows.optionalString(row, 4)
            schemas.readModels[name]?.live = [views, schema].compactMap(\.self)
        }
        return schemas
    }

    /// The schemas that a query reads. The views of the live version come before its own tables, so a query is also
    /// correct immediately after a promotion. Functions and types are found in the version's own schema.
    func of(_ query: SQLQuery) throws(InvalidFolder) -> [String] {
        var found: [String] = []
        for source in query.reads {
            let readModel = readModels[source.name]
            let schemas = source.version.map { readModel?.versions[$0].map { [$0] } } ?? readModel?.live
            guard let schemas else {
                let name = source.name + (source.version.map { "@\($0)" } ?? "")
                throw InvalidFolder([
                    FolderProblem(
                        "the database has no read model \(name); sql-projection creates it", at: query.place)
                ])
            }
            found += schemas
        }
        return found
    }
}
