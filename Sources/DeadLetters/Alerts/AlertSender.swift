internal import Foundation
public import Logging
public import Postgres
internal import StreamCore

/// Tells people by webhook what the handler has put into `dead_letter_alerts`, and when thresholds are reached.
///
/// Has a session and a loop of its own: an endpoint that is down, slow or hostile holds up its own messages only. Of
/// several processes one is active at a time, by an advisory lock. A message comes at least once, with the same
/// `webhook-id` each time.
public struct AlertSender: Sendable {
    private let database: PostgresConfiguration
    private let configuration: AlertConfiguration
    private let reports: AlertReports
    private let lock: AdvisoryLockKey

    /// - Parameters:
    ///   - database: where migration set `dead-letters` was applied.
    ///   - configuration: without problems by its own ``AlertConfiguration/validate()``.
    public init(_ database: PostgresConfiguration, _ configuration: AlertConfiguration, logger: Logger) {
        var database = database
        database.applicationName += "-alerts"
        self.database = database
        self.configuration = configuration
        reports = AlertReports(logger: logger)
        lock = AdvisoryLockKey("millrace.dead-letter-alerts:\(database.schema)")
    }

    /// Sends until the task is cancelled. Neither the endpoint nor the database can end it.
    public func run() async {
        guard let url = URL(string: configuration.url), let key = configuration.secret.key else {
            return reports.misconfigured(configuration.validate())
        }
        let session = PostgresSession(
            database, onEvent: { if case .cannotConnect(let error, _, _) = $0 { reports.cannotWork(error) } })
        var turn = AlertTurn(url: url, key: key, configuration: configuration, reports: reports, lock: lock)
        while !Task.isCancelled {
            do {
                let connection = try await session.connection()
                try await turn.run(on: connection)
                reports.works()
            } catch {
                if !Task.isCancelled { reports.cannotWork(error) }
            }
            do { try await Task.sleep(for: .milliseconds(configuration.pollIntervalMs)) } catch { break }
        }
        await session.close()
    }
}

/// One look at what there is to tell, and the telling.
struct AlertTurn {
    private let url: URL
    private let key: [UInt8]
    private let configuration: AlertConfiguration
    private let reports: AlertReports
    private let lock: AdvisoryLockKey
    private var policy: AlertPolicy
    /// The session in which this process is the active sender.
    private var active: PostgresConnection?

    init(
        url: URL, key: [UInt8], configuration: AlertConfiguration, reports: AlertReports, lock: AdvisoryLockKey
    ) {
        self.url = url
        self.key = key
        self.configuration = configuration
        self.reports = reports
        self.lock = lock
        policy = AlertPolicy(configuration)
    }

    mutating func run(on connection: PostgresConnection) async throws {
        guard try await isActive(on: connection) else { return }
        for crossing in policy.observe(try await AlertTable.openLetters(connection)) {
            try await AlertTable.add(crossing, connection)
        }
        // An endpoint that needs all its time for each alert must not keep thresholds from being looked at.
        let end = ContinuousClock.now + .milliseconds(max(configuration.timeoutMs, 1_000))
        while !Task.isCancelled, ContinuousClock.now < end, let alert = try await AlertTable.next(connection) {
            try await handle(alert, connection)
        }
    }

    private mutating func isActive(on connection: PostgresConnection) async throws(PostgresError) -> Bool {
        if active === connection { return true }
        active = nil
        guard try await connection.tryAdvisoryLock(lock) else { return false }
        policy.resume(from: try await AlertTable.lastCrossings(connection))
        active = connection
        return true
    }

    private func handle(_ alert: Alert, _ connection: PostgresConnection) async throws(PostgresError) {
        let decision = policy.decide(
            createdAt: alert.createdAt, lastSent: alert.lastSent, hasNewer: alert.hasNewer, now: alert.now)
        switch decision {
        case .supersede:
            try await AlertTable.giveUp(alert, connection)
            reports.superseded(alert)
        case .postpone(let until):
            try await AlertTable.postpone(alert, until: until, connection)
        case .send:
            try await send(alert, connection)
        }
    }

    private func send(_ alert: Alert, _ connection: PostgresConnection) async throws(PostgresError) {
        let tries = alert.tries + 1
        let next = policy.nextTry(after: tries, now: alert.now, jitter: .random(in: 0.5...1))
        let timeout = Timestamp(microseconds: alert.now.microseconds + Int64(configuration.timeoutMs) * 1_000)
        try await AlertTable.begin(alert, until: max(next ?? timeout, timeout), connection)
        let body = AlertBody(alert).json
        let signature = WebhookSignature(
            id: alert.messageID, timestamp: Int64(Date().timeIntervalSince1970), body: body, key: key)
        let headers = signature.headers + [("content-type", "application/json"), ("user-agent", "millrace")]
        do {
            try await WebhookExchange.post(url, headers: headers, body: body, timeoutMs: configuration.timeoutMs)
        } catch {
            // The attempt is counted; one that our own end broke off is made again.
            if error == .cancelled { return }
            guard let next else {
                try await AlertTable.giveUp(alert, connection)
                return reports.gaveUp(alert, tries: tries, error)
            }
            try await AlertTable.postpone(alert, until: next, connection)
            return reports.failed(alert, tries: tries, error)
        }
        try await AlertTable.sent(alert, connection)
        reports.sent(alert, tries: tries)
    }
}

/// A message's body: `type`, `timestamp` and `data`, as Standard Webhooks proposes.
struct AlertBody: Encodable {
    private let type: String
    private let timestamp: String
    private let data: Content

    private struct Content: Encodable {
        let consumer: String
        let errorClass: String?
        let fingerprint: String?
        let message: String?
        let openLetters: Int64?
        let letterId: Int64?
        /// What to type.
        let command: String
    }

    init(_ alert: Alert) {
        type = "dead_letters.\(alert.kind)"
        timestamp = alert.createdAt.description
        let command =
            alert.letterID.map { "millrace dead-letters show \($0)" }
            ?? "millrace dead-letters groups --consumer \(alert.consumer)"
        data = Content(
            consumer: alert.consumer, errorClass: alert.errorClass, fingerprint: alert.fingerprint,
            message: alert.message, openLetters: alert.letters, letterId: alert.letterID, command: command)
    }

    var json: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and integers only: nothing that could fail to be JSON.
        return (try? encoder.encode(self)).map { Array($0) } ?? []
    }
}
