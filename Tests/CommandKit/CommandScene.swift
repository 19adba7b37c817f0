public import Commands
import Logging
public import Postgres
import TestKit

/// A schema with the tables of some domains, and a running bus.
public struct CommandScene: Sendable {
    public let database: PostgresConfiguration
    public let bus: CommandBus
    public let connection: PostgresConnection
    private let domains: [CommandDomain]

    /// A bus with long timeouts, because a machine that runs tests is busy.
    public static func bus(
        _ database: PostgresConfiguration, _ domains: [CommandDomain],
        _ configure: (inout CommandBusConfiguration) -> Void = { _ in }
    ) throws -> CommandBus {
        var configuration = CommandBusConfiguration()
        configuration.connections = 2
        configuration.timeoutMs = 120_000
        configuration.maxAttempts = 100
        configure(&configuration)
        return try CommandBus(
            configuration, postgres: database, domains: domains,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Runs a body with a scene.
    ///
    /// - Parameters:
    ///   - further: migration sets in addition to those of the domains.
    ///   - script: SQL that runs before the body.
    public static func with(
        _ domains: [CommandDomain], migrating further: [String] = [], script: String = "",
        _ body: (CommandScene) async throws -> Void
    ) async throws {
        var sets: [String] = []
        for set in domains.flatMap(\.migrationSets) + further where !sets.contains(set) { sets.append(set) }
        try await TestDatabase.withSchema(migrating: sets) { database in
            let connection = try await PostgresConnection.connect(database)
            if !script.isEmpty { try await connection.execute(script: script) }
            let bus = try bus(database, domains)
            try await running(bus) {
                try await body(CommandScene(database: database, bus: bus, connection: connection, domains: domains))
            }
            await connection.close()
        }
    }

    /// Runs a body while a bus runs.
    public static func running(_ bus: CommandBus, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await bus.run() }
            defer { bus.stop() }
            try await body()
        }
    }

    /// Sends a command directly to the bus, without a route.
    ///
    /// - Returns: the version, or the name of the rule that refused the command.
    public func send(
        _ command: some Command, _ request: CommandRequest = CommandRequest()
    ) async throws -> String {
        switch try await bus.send(command, request).verdict {
        case .accepted(let result): "\(result.version)"
        case .refused(let refusal): refusal.rule
        }
    }

    /// Sends many commands at once, alternately through this scene's bus and a second one, like two processes.
    ///
    /// - Returns: for each command the rule that refused it; nil if it was carried out.
    public func race(
        _ count: Int, _ send: @escaping @Sendable (Int, CommandBus) async throws -> CommandOutcome
    ) async throws -> [String?] {
        let other = try Self.bus(database, domains)
        var answers: [String?] = []
        try await Self.running(other) {
            answers = try await withThrowingTaskGroup(of: String?.self) { group in
                for number in 0..<count {
                    let bus = number.isMultiple(of: 2) ? bus : other
                    group.addTask {
                        switch try await send(number, bus).verdict {
                        case .accepted: nil
                        case .refused(let refusal): refusal.rule
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
        return answers
    }

    /// Sends a request to its route, as a server would.
    ///
    /// - Parameter headers: the values by name in lower case.
    public func call(
        _ method: String, _ path: String, _ body: String = "", _ headers: [String: String] = [:],
        query: [String: String] = [:], tenant: String? = nil
    ) async throws -> CommandReplyMessage {
        let parts = path.split(separator: "/").map(String.init)
        for route in domains.flatMap({ $0.routes(bus, "command-service") }) where route.method == method {
            let template = route.template.split(separator: "/").map(String.init)
            guard template.count == parts.count else { continue }
            var parameters: [String: String] = [:]
            let isLike = zip(template, parts).allSatisfy { pattern, part in
                guard pattern.hasPrefix("{") else { return pattern == part }
                parameters[String(pattern.dropFirst().dropLast())] = part
                return true
            }
            guard isLike else { continue }
            return await route.answer(
                CommandCall(
                    method: method, path: path, parameters: parameters, query: query, body: Array(body.utf8),
                    caller: "me", tenantID: tenant, header: { headers[$0] }))
        }
        throw NoRoute(method: method, path: path)
    }

    /// No domain has a route for the request.
    public struct NoRoute: Error {
        public let method: String
        public let path: String
    }

    /// The number that a statement selects.
    public func number(_ sql: String) async throws -> Int64 {
        try await connection.execute(.unprepared(sql)).int64(0, 0)
    }

    /// The rows that a statement selects. The columns are texts joined by spaces.
    public func rows(_ sql: String) async throws -> [String] {
        let rows = try await connection.execute(.unprepared(sql))
        return try (0..<rows.rowCount).map { row in
            try (0..<rows.columnCount).map { try rows.optionalString(row, $0) ?? "∅" }.joined(separator: " ")
        }
    }
}

extension CommandReplyMessage {
    /// A header's value.
    public subscript(name: String) -> String? { headers.first { $0.name == name }?.value }

    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The last part of a problem's type.
    public var type: String? {
        text.split(separator: "\"").first { $0.hasPrefix("/problems/") }.map { String($0.dropFirst(10)) }
    }
}
