internal import Events
internal import Kafka
internal import Orders
internal import Outbox
internal import Postgres
internal import StreamCore

/// Checks that the read models of orders agree with the events, and that the topics agree with the write model, while
/// the pipeline is running. Where the databases have no tables of the demo shop, it only finds the events in transit.
///
/// A verification of orders has these steps:
///
/// 1. Marker: it reads the ends of the topics, and then takes a snapshot of the write model with its outbox.
/// 2. Wait: it waits until everything that was committed by then is applied, or the time is over.
/// 3. Snapshot: it takes a snapshot of the read models with their offsets.
/// 4. Replay: it reads the topics up to those offsets.
/// 5. Compare: it compares order by order, in the order of their ids.
///
/// The expected content of a read model follows from the events below its own offsets. Events in transit are therefore
/// never differences. If Kafka no longer has the beginning, the expected content follows from the write model and the
/// events that were committed since the marker. Orders with events in transit are then left out and counted.
public struct Verification: Sendable {
    private let configuration: VerificationConfiguration

    /// The time between two checks while waiting.
    private static let patience: Duration = .milliseconds(100)

    public init(_ configuration: VerificationConfiguration) {
        self.configuration = configuration
    }

    /// Runs a verification.
    ///
    /// - Parameter wait: the maximum time to wait until everything that was committed before the start is applied.
    /// - Throws: `PostgresError`, `KafkaError`, ``VerificationError``.
    public func run(waitingUpTo wait: Duration = .zero) async throws -> Verdict {
        let deadline = ContinuousClock.now + wait
        return try await PostgresConnection.with(configuration.writeModel) { writing in
            try await PostgresConnection.with(configuration.readModel) { reading in
                let tables = try await VerifiedTables.find(configuration, writing, reading)
                guard tables.hasShop else {
                    return try await TransitVerification(configuration: configuration, tables: tables)
                        .run(writing, reading, until: deadline)
                }
                guard tables.hasWriteModel, let outbox = tables.outbox else { throw VerificationError.noWriteModel }
                let shop = Shop(tables: tables, outbox: outbox, writing: writing, reading: reading)
                guard let kafka = configuration.kafka else { return try await compareTables(shop) }
                let topics = try await Topics(kafka, configuration)
                do {
                    return try await verify(topics, configuration.incompleteHistory, shop, deadline)
                } catch RangeReader.Trouble.gone(let partition) {
                    // Kafka deleted records while they were read, so verify again without the beginning.
                    let reason = "Kafka no longer has the beginning of \(partition)"
                    do {
                        return try await verify(topics, reason, shop, deadline)
                    } catch RangeReader.Trouble.gone(let partition) {
                        throw VerificationError.topicIsGone("\(partition)")
                    }
                }
            }
        }
    }

    /// The tables of orders, and the connections to them.
    private struct Shop {
        let tables: VerifiedTables
        let outbox: OutboxTable
        let writing: PostgresConnection
        let reading: PostgresConnection
    }

    private func verify(
        _ topics: Topics, _ incompleteHistory: String?, _ shop: Shop, _ deadline: ContinuousClock.Instant
    ) async throws -> Verdict {
        // Everything that is in Kafka now was committed before the following snapshot.
        let before = try await topics.watermarks()
        return try await shop.writing.withTransaction { written in
            try await written.execute(script: Self.snapshot)
            var marker = try await OutboxMarker.take(shop.outbox, in: written)
            try await settle(&marker, topics, shop, until: deadline)
            return try await shop.reading.withTransaction { read in
                try await read.execute(script: Self.snapshot)
                var snapshot = try await ReadSnapshot.take(in: read, shop.tables, versions: configuration.versions)
                try await topics.readRetries(&snapshot)
                let after = try await topics.ends()
                let plan = try ReplayPlan(before, after, snapshot, incompleteHistory)
                let streams = try await OrderStreams(
                    written, read, shop.tables, shop.outbox, unpublished: marker.unpublished)
                return try await compare(plan, snapshot, marker, topics, streams, written, read)
            }
        }
    }

    // MARK: wait

    /// Waits until everything that the marker found is published and applied, or the time is over.
    private func settle(
        _ marker: inout OutboxMarker, _ topics: Topics, _ shop: Shop, until deadline: ContinuousClock.Instant
    ) async throws {
        var current = marker
        try await PostgresConnection.with(configuration.writeModel) { asking in
            while !current.waiting.isEmpty, .now < deadline {
                try await current.refresh(asking, all: false)
                if !current.waiting.isEmpty { try await Task.sleep(for: Self.patience) }
            }
            let ends = try await topics.watermarks().mapValues(\.high)
            while .now < deadline {
                // The positions are read each time, because a projection may have started in the meantime.
                let projections = try await shop.reading.withTransaction {
                    try await ReadSnapshot.take(in: $0, shop.tables, versions: configuration.versions)
                }
                if try await projections.hasPassed(ends, on: shop.reading) { break }
                try await Task.sleep(for: Self.patience)
            }
            try await current.refresh(asking, all: true)
        }
        marker = current
    }

    // MARK: compare

    private func compare(
        _ plan: ReplayPlan, _ snapshot: ReadSnapshot, _ marker: OutboxMarker, _ topics: Topics,
        _ orders: OrderStreams, _ written: PostgresTransaction, _ read: PostgresTransaction
    ) async throws -> Verdict {
        var streams = orders
        let parkedKeys = (snapshot.summary.parkedKeys, snapshot.dashboard?.parkedKeys ?? [])
        var comparer = OrderComparer(
            plan.standard, exampleLimit: configuration.exampleLimit, parkedKeys: parkedKeys)
        var waiting = (summary: 0, dashboard: 0)
        for range in try await ranges(plan, written) {
            var histories = OrderHistories(
                marker: plan.marker, summary: snapshot.summary, dashboard: snapshot.dashboard, range: range)
            try await topics.replay(plan.ranges) { histories.add($0, $1, key: $2) }
            waiting.summary += histories.waiting.summary
            waiting.dashboard += histories.waiting.dashboard
            for record in histories.unreadable { comparer.noteUnreadable(record.origin, record.reason) }
            comparer.noteUnreadable(keys: histories.unreadableKeys)
            try await streams.forEach(through: range.through, histories) { try comparer.add($0) }
        }
        var verdict = Verdict(method: plan.method)
        verdict.underWay.unpublished = marker.waiting.count
        verdict.underWay.setAside = marker.setAside.count
        verdict.comparisons = plan.standard == .events ? [plan.judged(comparer.topics)] : []
        if snapshot.hasSummary {
            verdict.underWay.projections.append(.init(snapshot.summary, waiting: waiting.summary))
            verdict.comparisons.append(plan.judged(comparer.summary, by: snapshot.summary))
        }
        if let dashboard = snapshot.dashboard {
            verdict.underWay.projections.append(
                .init(dashboard, waiting: waiting.dashboard))
            let undecided = plan.reasonAgainstDashboard(comparer, dashboard)
            verdict.comparisons += try await compareDashboard(comparer.tally, snapshot, undecided, read)
                .map { plan.judged($0, by: dashboard) }
        }
        return verdict
    }

    private func compareDashboard(
        _ tally: DashboardTally, _ snapshot: ReadSnapshot, _ undecided: String?, _ read: PostgresTransaction
    ) async throws -> [Verdict.Comparison] {
        var comparisons: [Verdict.Comparison] = []
        for view in DashboardView.all {
            if let undecided {
                var comparison = Verdict.Comparison(name: view.name)
                comparison.undecided = undecided
                comparisons.append(comparison)
            } else {
                comparisons.append(
                    try await view.compare(
                        tally, snapshot.horizons, in: read, exampleLimit: configuration.exampleLimit))
            }
        }
        return comparisons
    }

    /// Compares only the tables, as if no events were in transit.
    private func compareTables(_ shop: Shop) async throws -> Verdict {
        try await shop.writing.withTransaction { written in
            try await written.execute(script: Self.snapshot)
            return try await shop.reading.withTransaction { read in
                try await read.execute(script: Self.snapshot)
                var comparer = OrderComparer(.writeModel, exampleLimit: configuration.exampleLimit)
                var streams = try await OrderStreams(written, read, shop.tables, shop.outbox, unpublished: [])
                let nothing = OrderHistories(
                    marker: [:], summary: ProjectionCut(name: "order-summary"), dashboard: nil, range: (nil, nil))
                try await streams.forEach(through: nil, nothing) { try comparer.add($0) }
                var verdict = Verdict(method: .tables)
                if shop.tables.hasSummary { verdict.comparisons = [comparer.summary] }
                let snapshot = try await ReadSnapshot.takeViews(in: read)
                if snapshot.hasDashboard {
                    verdict.comparisons += try await compareDashboard(comparer.tally, snapshot, nil, read)
                }
                return verdict
            }
        }
    }

    /// Divides the order ids into ranges, each with about as many orders as may be in memory at once.
    private func ranges(
        _ plan: ReplayPlan, _ written: PostgresTransaction
    ) async throws -> [(after: ExactText?, through: ExactText?)] {
        // There cannot be more orders than records.
        if plan.recordCount <= configuration.ordersInMemory { return [(nil, nil)] }
        let rows = try await written.execute(
            """
            SELECT order_id FROM (
                SELECT order_id, row_number() OVER (ORDER BY order_id COLLATE "C") AS n FROM orders) AS o
            WHERE n % $1 = 0 ORDER BY n
            """, Parameters { $0.append(Int64(configuration.ordersInMemory)) })
        var ranges: [(after: ExactText?, through: ExactText?)] = []
        for row in 0..<rows.rowCount {
            ranges.append((ranges.last?.through, ExactText(try rows.string(row, 0))))
        }
        ranges.append((ranges.last?.through, nil))
        return ranges
    }

    /// Gives all reads of the transaction one snapshot, and lets the transaction stay open for any time.
    private static let snapshot = """
        SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL TimeZone = 'UTC';
        SET LOCAL DateStyle = 'ISO'; SET LOCAL idle_in_transaction_session_timeout = 0;
        SET LOCAL cursor_tuple_fraction = 1
        """
}

extension Verdict.UnderWay.Projection {
    fileprivate init(_ cut: ProjectionCut, waiting: Int) {
        self.init(
            name: cut.name, waiting: waiting, parked: cut.parked.count - cut.discarded, discarded: cut.discarded)
    }
}
