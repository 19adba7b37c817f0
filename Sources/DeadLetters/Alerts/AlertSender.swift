internal import Foundation
internal import Leadership
public import Logging
public import Postgres
internal import StreamCore

/// Sends the alerts of the table `dead_letter_alerts` to a webhook, and creates alerts when thresholds are reached.
///
/// The sender has its own database session and loop, so an endpoint that is down, slow or hostile delays only its own
/// messages. An advisory lock makes one of several processes active. A message is delivered at least once, with the
/// same `webhook-id` each time.
public struct AlertSender: Sendable {
    private let database: PostgresConfiguration
    private let configuration: AlertConfiguration
    private let reports: AlertReports
    private let lock: AdvisoryLockKey
    private let onTurn: @Sendable () -> Void

    /// - Parameters:
    ///   - database: a database with the migration set `dead-letters`.
    ///   - configuration: a configuration for which ``AlertConfiguration/validate()`` reports no problem.
    ///   - onTurn: called while the loop moves, at least once in each poll interval, election or call of the receiver.
    public init(
        _ database: PostgresConfiguration, _ configuration: AlertConfiguration, logger: Logger,
        onTurn: @escaping @Sendable () -> Void = {}
    ) {
        var database = database
        database.applicationName += "-alerts"
        self.database = database
        self.configuration = configuration
        self.onTurn = onTurn
        reports = AlertReports(logger: logger)
        lock = AdvisoryLockKey("millrace.dead-letter-alerts:\(database.schema)")
    }

    /// Sends until the task is cancelled. Failures of the endpoint or the database do not end it.
    public func run() async {
        guard let url = URL(string: configuration.url), let key = configuration.secret.key else {
            return reports.misconfigured(configuration.validate())
        }
        do {
            try await StopSignal.onCancellation { stop in try await lead(url, key, until: stop) }
        } catch {
            // The election treats no error as permanent.
            reports.cannotWork(error)
        }
    }

    private func lead(_ url: URL, _ key: [UInt8], until stop: StopSignal) async throws {
        let pause = Duration.milliseconds(configuration.pollIntervalMs)
        let election = LeaderElection(
            lock, postgres: database, mode: .standby(interval: pause), stop: stop,
            onChange: { change in
                onTurn()
                switch change {
                case .standingBy: reports.works()
                case .lockTaken: break
                case .failed(let error): reports.cannotWork(error)
                }
            })
        try await election.run { session in
            let connection = session.connection
            var turn = AlertTurn(url: url, key: key, configuration: configuration, reports: reports, stop: stop)
            try await turn.begin(on: connection)
            while !stop.isSet {
                try await turn.run(on: connection)
                reports.works()
                onTurn()
                await stop.wait(atMost: pause)
            }
        }
    }
}

/// One pass over the alerts: creates alerts for thresholds and sends those that are due.
struct AlertTurn {
    private let url: URL
    private let key: [UInt8]
    private let configuration: AlertConfiguration
    private let reports: AlertReports
    private let stop: StopSignal
    private var policy: AlertPolicy

    init(url: URL, key: [UInt8], configuration: AlertConfiguration, reports: AlertReports, stop: StopSignal) {
        self.url = url
        self.key = key
        self.configuration = configuration
        self.reports = reports
        self.stop = stop
        policy = AlertPolicy(configuration)
    }

    /// Continues from the state of the previous leader.
    mutating func begin(on connection: PostgresConnection) async throws {
        policy.resume(from: try await AlertTable.lastCrossings(connection))
    }

    mutating func run(on connection: PostgresConnection) async throws {
        for crossing in policy.observe(try await AlertTable.openLetters(connection)) {
            try await AlertTable.add(crossing, connection)
        }
        // A slow endpoint may use the whole timeout for each alert. The limit keeps the check of thresholds regular.
        let end = ContinuousClock.now + .milliseconds(max(configuration.timeoutMs, 1_000))
        while !stop.isSet, ContinuousClock.now < end, let alert = try await AlertTable.next(connection) {
            try await handle(alert, connection)
        }
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
            id: alert.messageID, timestamp: Timestamp.now.microseconds / 1_000_000, body: body, key: key)
        let headers = signature.headers + [("content-type", "application/json"), ("user-agent", "millrace")]
        if let error = await post(body, headers) {
            // The attempt is counted. If the shutdown cancelled it, the next leader sends the alert again.
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

    /// - Returns: the reason why the endpoint did not accept the message; nil if it did.
    private func post(
        _ body: [UInt8], _ headers: [(name: String, value: String)]
    ) async -> WebhookExchange.Failure? {
        let (url, timeoutMs) = (url, configuration.timeoutMs)
        return await stop.cancelling { () async -> WebhookExchange.Failure? in
            do throws(WebhookExchange.Failure) {
                try await WebhookExchange.post(url, headers: headers, body: body, timeoutMs: timeoutMs)
                return nil
            } catch {
                return error
            }
        }
    }
}

/// The body of a message: `type`, `timestamp` and `data`, as Standard Webhooks proposes.
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
        /// The command that shows the letters.
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
        // Encoding cannot fail, because the members are only strings and integers.
        return (try? encoder.encode(self)).map { Array($0) } ?? []
    }
}
