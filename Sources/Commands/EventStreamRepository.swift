public import Events
public import Postgres
public import StreamCore
internal import WireJSON

/// Stores aggregates as streams of their events, in the tables of the migration set `commands`.
///
/// A write checks the version that was loaded. If another writer has appended events since, both the primary key of the
/// events and the version in `event_streams` refuse the write. The bus also writes the events to the outbox.
public struct EventStreamRepository<D: Decider>: Repository where D.State: SnapshotState {
    private let policy: SnapshotPolicy

    public init(snapshots policy: SnapshotPolicy) {
        self.policy = policy
    }

    // MARK: reading

    public func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        var lock = Parameters()
        lock.append(D.kind.rawValue)
        lock.append(keys)
        var read = lock
        read.append(D.State.snapshotFormat)
        // A separate statement reads the events, because the snapshot of the locking statement is older than the lock.
        return (locking ? [(StreamStatements.lock, lock)] : []) + [(StreamStatements.read, read)]
    }

    public func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<D.State>] {
        guard let rows = results.last else { return [:] }
        var found: [String: Loaded<D.State>] = [:]
        for row in 0..<rows.rowCount {
            let id = try rows.string(row, 0)
            if found[id] == nil, let snapshot = try Self.snapshot(rows, row) { found[id] = snapshot }
            guard let sequence = try rows.optionalInt64(row, 4) else { continue }
            guard sequence == (found[id]?.version ?? 0) + 1 else {
                throw StoredStateError("an event of a \(D.kind.rawValue) is missing before sequence \(sequence)")
            }
            let event = try Self.event(rows, row, of: id, sequence)
            guard let state = D.evolve(found[id]?.state, event) else {
                throw StoredStateError("the events of a \(D.kind.rawValue) result in no state")
            }
            found[id] = Loaded(state, version: sequence, lastEventAt: event.identity.timestamp)
        }
        return found
    }

    private static func snapshot(_ rows: QueryResult, _ row: Int) throws -> Loaded<D.State>? {
        let version = try rows.int64(row, 1)
        if version == 0 { return nil }
        let json = try rows.textBytes(row, 2)
        do {
            var fields = try FieldReader(json)
            let state = try D.State(fromSnapshot: &fields)
            return Loaded(state, version: version, lastEventAt: try rows.timestamp(row, 3))
        } catch let problem as DecodeProblem {
            throw StoredStateError("a snapshot of a \(D.kind.rawValue): \(problem.located(in: json))")
        }
    }

    private static func event(
        _ rows: QueryResult, _ row: Int, of id: String, _ sequence: Int64
    ) throws -> Event<D.Payload> {
        let name = try rows.string(row, 6)
        guard let type = D.Payload.Kind(rawValue: name) else {
            throw StoredStateError("\(name) is not an event type of a \(D.kind.rawValue)")
        }
        let payload: D.Payload
        do {
            payload = try EventDecoder<D.Payload>.payload(
                try rows.textBytes(row, 9), of: type, version: Int(try rows.int32(row, 7)))
        } catch let error as EventDecodeError {
            throw StoredStateError("a stored \(name): \(error)")
        }
        let metadata = EventMetadata(
            userID: try rows.optionalString(row, 10), tenantID: try rows.optionalString(row, 11),
            source: try rows.optionalString(row, 12), traceID: try rows.optionalString(row, 13))
        return Event(
            payload, of: id, sequence: sequence, at: try rows.timestamp(row, 8), eventID: try rows.eventID(row, 5),
            metadata: metadata)
    }

    /// The statement that reads an aggregate at a point in time. Its result is for ``loaded(_:)``. It reads all events
    /// up to that time and uses no snapshots.
    public func history(of id: String, until instant: Timestamp) -> (Statement, Parameters) {
        var parameters = Parameters()
        parameters.append(D.kind.rawValue)
        parameters.append(id)
        parameters.append(instant)
        return (StreamStatements.history, parameters)
    }

    // MARK: writing

    public func writes(_ changes: [Change<D>]) -> [(Statement, Parameters)] {
        var created = StreamHeads(), grown = StreamHeads(), events = StreamEvents()
        for change in changes {
            let snapshot = snapshot(of: change)
            if change.before == nil {
                created.append(change.id, change.after.version, expected: 0, snapshot, D.State.snapshotFormat)
            } else {
                let expected = change.before?.version ?? 0
                grown.append(change.id, change.after.version, expected: expected, snapshot, D.State.snapshotFormat)
            }
            for event in change.events { events.append(event) }
        }
        let kind = D.kind.rawValue
        var writes: [(Statement, Parameters)] = []
        if created.count > 0 { writes.append((StreamStatements.create, created.parameters(kind))) }
        if grown.count > 0 {
            var parameters = grown.parameters(kind)
            parameters.append(Int64(grown.count))
            writes.append((StreamStatements.grow, parameters))
        }
        return writes + [(StreamStatements.append, events.parameters(kind))]
    }

    /// The snapshot as JSON if one is due, which is when the sequence passes a multiple of the policy's number.
    private func snapshot(of change: Change<D>) -> [UInt8]? {
        guard let interval = policy.events else { return nil }
        guard change.after.version / interval > (change.before?.version ?? 0) / interval else { return nil }
        var writer = JSONWriter()
        change.after.state.write(to: &writer)
        return writer.finish()
    }
}
