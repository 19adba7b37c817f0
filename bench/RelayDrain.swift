import Postgres
import StreamCore

/// One relay drains 500,000 rows from the outbox. The limit is the deletion of the same rows on one connection, without
/// sending anything.
enum RelayDrain {
    static let name = "relay-drain"
    static let rows = 500_000

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        let limit = try await deletionsPerSecond(servers.postgres)
        say("deleting alone: \(Int(limit)) rows/s")
        let drain = try await Drain.measure(rows: rows, on: servers)
        var result = BenchResult(name: name)
        result.events = rows
        result.seconds = drain.seconds
        result.eventsPerS = drain.eventsPerSecond
        result.limitPerS = limit
        result.ratio = drain.eventsPerSecond / limit
        result.peakRssMib = drain.peakResidentMiB
        result.cpuSPer100k = drain.processorSeconds * 100_000 / Double(rows)
        return result
    }

    private static func deletionsPerSecond(_ postgres: PostgresConfiguration) async throws -> Double {
        try await OutboxRows.load(rows, into: postgres)
        let connection = try await PostgresConnection.connect(postgres)
        let delete: Statement = """
            DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED) RETURNING *
            """
        let start = ContinuousClock.now
        var deleted = 0
        while true {
            let page = try await connection.execute(delete)
            if page.rowCount == 0 { break }
            deleted += page.rowCount
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        try await connection.execute(script: "TRUNCATE outbox; CHECKPOINT", timeoutMs: 600_000)
        await connection.close()
        guard deleted == rows else { throw BenchError("\(deleted) rows deleted instead of \(rows)") }
        return Double(deleted) / seconds
    }
}

/// The same drain while another transaction is open that began before the rows were written, so that vacuum cannot
/// remove dead rows. The ratio is the rate in the last quarter divided by the rate in the first.
enum RelayPinned {
    static let name = "relay-pinned"

    @Sendable static func run(on servers: BenchServers) async throws -> BenchResult {
        var patient = servers.postgres
        patient.idleInTransactionTimeoutMs = 0
        let pin = try await PostgresConnection.connect(patient)
        // With a transaction id and a snapshot, the transaction holds back both horizons of vacuum.
        try await pin.execute(script: "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id()")
        let drain = try await Drain.measure(rows: RelayDrain.rows, on: servers)
        try await pin.execute(script: "ROLLBACK")
        await pin.close()
        var result = BenchResult(name: name)
        result.events = RelayDrain.rows
        result.seconds = drain.seconds
        result.eventsPerS = drain.eventsPerSecond
        result.ratio = drain.lastQuarterOverFirst
        result.peakRssMib = drain.peakResidentMiB
        result.cpuSPer100k = drain.processorSeconds * 100_000 / Double(RelayDrain.rows)
        return result
    }
}

/// The measurements of one relay with a full outbox.
struct Drain {
    let seconds: Double
    let eventsPerSecond: Double
    let lastQuarterOverFirst: Double
    let peakResidentMiB: Double
    let processorSeconds: Double

    /// Fills the outbox, starts a relay, and measures from the first record in Kafka until all records are there and
    /// the outbox is empty.
    static func measure(rows: Int, on servers: BenchServers) async throws -> Drain {
        try await OutboxRows.load(rows, into: servers.postgres)
        let relay = try servers.start("outbox-relay", settings: ["relay.topic_suffix": servers.topicSuffix])
        let connection = try await PostgresConnection.connect(servers.postgres)
        var samples: [(time: ContinuousClock.Instant, published: Int64)] = []
        try await servers.wait("drained outbox", within: .seconds(300), every: .milliseconds(50)) {
            guard relay.isRunning else { throw BenchError("the relay has ended") }
            let published = try await servers.recordsProduced()
            if published > 0 { samples.append((.now, published)) }
            guard published >= Int64(rows) else { return false }
            return try await connection.execute("SELECT 1 FROM outbox LIMIT 1").rowCount == 0
        }
        await connection.close()
        let (peak, processor) = (try relay.peakResidentMiB(), try relay.processorSeconds())
        try await relay.stop()
        guard try await servers.recordsProduced() == Int64(rows) else {
            throw BenchError("rows were published twice although nothing failed")
        }
        let (first, last) = (samples[0], samples[samples.count - 1])
        let seconds = (last.time - first.time) / .seconds(1)
        let quarter = (Int64(rows) - first.published) / 4
        func time(of published: Int64) -> ContinuousClock.Instant {
            samples.first { $0.published >= published }?.time ?? last.time
        }
        let firstQuarter = time(of: first.published + quarter) - first.time
        let done = time(of: Int64(rows))
        return Drain(
            seconds: seconds, eventsPerSecond: Double(Int64(rows) - first.published) / seconds,
            lastQuarterOverFirst: firstQuarter / (done - time(of: Int64(rows) - quarter)),
            peakResidentMiB: peak, processorSeconds: processor)
    }
}
