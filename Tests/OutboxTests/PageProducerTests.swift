import Kafka
import Leadership
import Logging
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Outbox

/// The loops of producing must end or suspend in every state of the producer and the lock. A loop that does neither
/// occupies a processor for ever.
@Suite struct PageProducerTests {
    private struct LockIsLost: Error {}

    /// A page producer with a page of three rows of one key, and a producer that finds no broker.
    private struct Scene {
        let configuration: OutboxRelayConfiguration
        let flight: Flight
        let pages: PageProducer
        let producer: Producer
        let page: Page
        let stop = StopSignal()

        init(_ postgres: PostgresConfiguration) async throws {
            let configuration = quickConfiguration()
            self.configuration = configuration
            let reports = RelayReports(shard: 0, logger: testLogger) { _ in }
            let flight = Flight(configuration, newsSignal: WakeSignal(), roomSignal: WakeSignal(), reports: reports)
            self.flight = flight
            let kafka = KafkaClientConfiguration(bootstrapServers: "127.0.0.1:1")
            producer = try RelayProducer.make(configuration, kafka, BatchLimit(kafka), flight, reports)
            flight.use(producer)
            let layout = RowLayout(configuration)
            let statements = OutboxStatements(configuration, layout: layout, shard: 0)
            let connection = try await LockSession.connect(postgres)
            let lock = try #require(
                try await LockSession.tryLock(
                    AdvisoryLockKey("page producer in \(postgres.schema)"), on: connection))
            pages = PageProducer(
                configuration, layout: layout, writer: await OutboxWriter(lock, statements), flight: flight,
                producer: producer, stop: stop, reports: reports)
            let service = try await Service(postgres)
            try await service.commit("t", "a", 1...3)
            var cursor = ScanCursor()
            let (statement, parameters) = statements.query(for: cursor.nextRequest(limit: 10))
            var again = ScanCursor()
            let result = try await service.connection.execute(statement, parameters)
            page = try Page(again.nextRequest(limit: 10), result, duration: .zero)
        }

        /// Reports all rows as refused in one batch, so each of them is sent alone from now on.
        func suspectAll() async throws {
            let error = try #require(throws: KafkaError.self) {
                try producer.produce(
                    topic: String(repeating: "x", count: 600), key: nil, value: nil, headers: nil, tag: 1)
            }
            #expect(DeliveryFailure(error) == .record)
            let failures = page.ids.map { Flight.Failure(id: $0, error: error) }
            try await pages.replace(producer, after: failures)
        }

        func close() async {
            await producer.close(timeoutMs: 0)
        }
    }

    private func withScene(
        sourceLocation: SourceLocation = #_sourceLocation, _ body: (Scene) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            let scene = try await Scene(postgres)
            // If a call does not end by itself, the stop signal ends it, even if the call never suspends.
            let stop = scene.stop
            try await withDeadline(endingBy: { stop.set() }, sourceLocation: sourceLocation) { try await body(scene) }
            await scene.close()
        }
    }

    @Test func suspectBehindAFailedRowEndsProducing() async throws {
        try await withScene { scene in
            try await scene.suspectAll()
            let error = try #require(throws: KafkaError.self) {
                try scene.producer.produce(
                    topic: String(repeating: "x", count: 600), key: nil, value: nil, headers: nil, tag: 1)
            }
            scene.flight.fail(Flight.Failure(id: 99, error: error))
            #expect(try await scene.pages.produce(scene.page, backlog: nil) == .interrupted)
        }
    }

    @Test(arguments: [true, false])
    func lostLockWithNothingInFlightEndsProducing(suspects: Bool) async throws {
        try await withScene { scene in
            if suspects { try await scene.suspectAll() }
            scene.flight.lose(LockIsLost())
            await #expect(throws: LockIsLost.self) {
                _ = try await scene.pages.produce(scene.page, backlog: nil)
            }
        }
    }

    @Test func failureWhileASuspectIsAloneEndsProducing() async throws {
        try await withScene { scene in
            try await scene.suspectAll()
            let (flight, producer, isProduced) = (scene.flight, scene.producer, StopSignal())
            async let failing: Void = Self.purgeWhatIsInFlight(flight, producer, unless: isProduced)
            let outcome = try await scene.pages.produce(scene.page, backlog: nil)
            isProduced.set()
            try await failing
            #expect(outcome == .interrupted)
            #expect(flight.rows <= 1, "the second suspected row was not sent")
        }
    }

    /// On a busy machine the row may time out before this function sees it. That also counts as a failure.
    @concurrent private static func purgeWhatIsInFlight(
        _ flight: Flight, _ producer: Producer, unless isProduced: StopSignal
    ) async throws {
        try await eventually { flight.rows > 0 || isProduced.isSet }
        producer.purge()
    }

    /// If the first record of a topic is not acknowledged in time, the page producer leaves the other rows in the
    /// outbox and remembers them.
    @Test func followersOfAFirstRecordAreLeftBehind() async throws {
        try await withScene { scene in
            let outcome = try await scene.pages.produce(scene.page, backlog: nil)
            #expect(outcome == .finished)
            #expect(scene.flight.rows == 1)
            #expect(scene.pages.admission.isProving)
            #expect(scene.pages.serveBacklog() == nil, "not before the topic is open")
        }
    }
}
