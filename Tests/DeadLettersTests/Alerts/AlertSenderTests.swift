import Digests
import EndpointKit
import Foundation
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import DeadLetters

@Suite struct AlertSenderTests {
    static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    struct Scene {
        let connection: PostgresConnection
        let server: ScriptedEndpoint

        func add(_ kind: String = "new_group", errorClass: String? = "missing_field") async throws {
            try await connection.execute(
                """
                INSERT INTO dead_letter_alerts (kind, consumer, error_class, fingerprint, message, letter_id)
                VALUES ($1, 'order-summary', $2, '00000000000000aa', 'a field is missing', 42)
                """,
                Parameters {
                    $0.append(kind)
                    $0.append(errorClass)
                })
        }

        func count(_ condition: String) async throws -> Int64 {
            try await connection.execute(
                .unprepared("SELECT count(*) FROM dead_letter_alerts WHERE \(condition)")
            ).int64(0, 0)
        }
    }

    /// Runs a sender and a private webhook server while `body` runs, then stops both.
    static func run(
        _ answers: [ScriptedEndpoint.Answer], senders: Int = 1, _ set: (inout AlertConfiguration) -> Void = { _ in },
        _ body: (Scene) async throws -> Void
    ) async throws {
        let server = try ScriptedEndpoint(answers)
        defer { server.stop() }
        var alerts = AlertConfiguration(url: server.url, secret: WebhookSecret(secret))
        alerts.pollIntervalMs = 10
        alerts.initialBackoffMs = 20
        alerts.maxBackoffMs = 100
        alerts.timeoutMs = 60_000
        set(&alerts)
        let configuration = alerts
        try await TestDatabase.withSchema(migrating: ["dead-letters"]) { database in
            let scene = Scene(connection: try await PostgresConnection.connect(database), server: server)
            var logger = Logger(label: "alerts")
            logger.logLevel = ProcessInfo.processInfo.environment["MILLRACE_TEST_LOG"] == nil ? .critical : .debug
            let sender = AlertSender(database, configuration, logger: logger)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<senders { group.addTask { await sender.run() } }
                defer { group.cancelAll() }
                try await body(scene)
            }
            await scene.connection.close()
        }
    }

    @Test func anAlertArrivesWholeAndSigned() async throws {
        try await Self.run([.status(204)]) { scene in
            try await scene.add()
            try await eventually { try await scene.count("sent_at IS NOT NULL AND tries = 1") == 1 }
            let request = try #require(scene.server.requests.first)
            #expect(request.head.hasPrefix("POST /hook HTTP/1.1\r\n"))
            #expect(request.header("content-type") == "application/json")
            let id = try #require(request.header("webhook-id"))
            let time = try #require(request.header("webhook-timestamp").flatMap { Int64($0) })
            #expect(abs(time - Int64(Date().timeIntervalSince1970)) < 60)
            // Verifies the signature as a receiver does.
            let key = try #require(Data(base64Encoded: String(Self.secret.dropFirst(6))))
            let signature = try #require(request.header("webhook-signature")).split(separator: ",")
            #expect(signature.first == "v1")
            let code = try #require(signature.last.flatMap { Data(base64Encoded: String($0)) })
            #expect(
                SHA256.authenticationCode(of: Array("\(id).\(time).".utf8) + request.body, key: Array(key))
                    == Array(code))
            let body = String(decoding: request.body, as: UTF8.self)
            #expect(
                body.hasPrefix(
                    """
                    {"data":{"command":"millrace dead-letters show 42","consumer":"order-summary",\
                    "errorClass":"missing_field","fingerprint":"00000000000000aa","letterId":42,\
                    "message":"a field is missing"},"timestamp":"
                    """))
            #expect(body.hasSuffix("\"type\":\"dead_letters.new_group\"}"))
        }
    }

    @Test func anEndpointThatFailsGetsTheSameMessageAgain() async throws {
        try await Self.run([.status(500), .hangUp, .status(429), .status(200)]) { scene in
            try await scene.add()
            try await eventually { try await scene.count("sent_at IS NOT NULL AND tries = 4") == 1 }
            let ids = Set(scene.server.requests.map { $0.header("webhook-id") })
            #expect(ids.count == 1)
            #expect(scene.server.requests.count == 4)
        }
    }

    @Test func anEndpointThatStaysDownIsGivenUp() async throws {
        let closed = try ScriptedEndpoint([.hangUp])
        closed.stop()
        try await Self.run(
            [.status(200)],
            {
                $0.url = closed.url
                $0.maxTries = 3
            }
        ) { scene in
            try await scene.add()
            try await eventually { try await scene.count("given_up_at IS NOT NULL AND tries = 3") == 1 }
            #expect(try await scene.count("sent_at IS NOT NULL") == 0)
        }
    }

    @Test func redirectionsAreNotFollowed() async throws {
        let other = try ScriptedEndpoint([.status(200)])
        defer { other.stop() }
        try await Self.run([
            .status(302, headers: "Location: \(other.url)\r\n"), .status(307, headers: "Location: /x\r\n"),
        ]) {
            scene in
            try await scene.add()
            try await eventually { scene.server.requests.count >= 3 }
            #expect(other.requests.isEmpty)
            #expect(scene.server.requests.allSatisfy { $0.head.hasPrefix("POST /hook ") })
            #expect(try await scene.count("sent_at IS NOT NULL") == 0)
        }
    }

    @Test func anEndlessAnswerIsNotRead() async throws {
        try await Self.run([.endlessBody(200)]) { scene in
            try await scene.add()
            try await eventually { try await scene.count("sent_at IS NOT NULL") == 1 }
            // The sender closes the connection while the server would continue to send.
            try await eventually { scene.server.brokenOff == 1 }
        }
    }

    @Test(arguments: [ScriptedEndpoint.Answer.silence, .endlessHead])
    func anEndpointThatComesToNoEndCostsItsTimeoutOnly(answer: ScriptedEndpoint.Answer) async throws {
        try await Self.run([answer, .status(200)], { $0.timeoutMs = 300 }) { scene in
            try await scene.add()
            try await eventually { try await scene.count("sent_at IS NOT NULL AND tries > 1") == 1 }
        }
    }

    @Test func aGroupIsToldOnceInAnIntervalAndOthersAreToldMeanwhile() async throws {
        try await Self.run([.status(200)]) { scene in
            try await scene.add()
            try await eventually { try await scene.count("sent_at IS NOT NULL") == 1 }
            try await scene.add()
            try await scene.add(errorClass: "invalid_json")
            try await scene.add("circuit_breaker_opened", errorClass: nil)
            try await eventually { try await scene.count("sent_at IS NOT NULL") == 3 }
            #expect(try await scene.count("sent_at IS NULL AND next_try_at > now() + interval '10 minutes'") == 1)
            #expect(scene.server.requests.count == 3)
        }
    }

    @Test func aThresholdIsToldByOneOfSeveralSenders() async throws {
        try await Self.run([.status(200)], senders: 3, { $0.thresholds = [100] }) { scene in
            let letters = LetterScene(connection: scene.connection, store: DeadLetterStore(scene.connection))
            try await letters.add(120)
            try await eventually { try await scene.count("sent_at IS NOT NULL") == 1 }
            try await letters.add(120)
            // The next alert is sent as well. By then, a second alert for the threshold would have been added.
            try await scene.add()
            try await eventually { try await scene.count("sent_at IS NOT NULL") == 2 }
            #expect(try await scene.count("kind = 'threshold'") == 1)
            let body = scene.server.requests.first.map { String(decoding: $0.body, as: UTF8.self) }
            #expect(body?.contains("\"openLetters\":120") == true)
            #expect(body?.contains("millrace dead-letters groups --consumer order-summary") == true)
        }
    }
}
