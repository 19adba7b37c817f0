internal import Events
internal import Postgres
internal import StreamCore

typealias Statements = [(Statement, Parameters)]

/// The aggregates or facts of one kind in one transaction: what was read, and what the commands changed. A refused
/// command leaves no change.
protocol WorkSession: AnyObject {
    /// Whether the current command used something that was not read. That happens if its further reads depend on a
    /// change by another command of the same transaction. It is then decided again in another transaction.
    var missed: Bool { get }
    /// The statements for what is needed and not read yet. The caller passes their results to ``take(_:)``.
    func pendingReads() -> Statements
    func take(_ results: ArraySlice<QueryResult>) throws
    /// Keeps the changes of the current command.
    func keepStep()
    /// Undoes the changes of the current command.
    func undoStep()
    func writes() -> Statements
    /// The statements that read what was changed, without locks.
    func proofReads() -> Statements
    /// Whether the changes are stored, from the results of ``proofReads()``; nil if other changes are in their place,
    /// or there are none.
    func isStored(_ results: ArraySlice<QueryResult>) throws -> Bool?
}

/// The aggregates of one kind.
final class AggregateSession<D: Decider>: WorkSession {
    struct Entry {
        let before: Loaded<D.State>?
        var current: Loaded<D.State>?
        var events: [Event<D.Payload>] = []
    }

    private let repository: any Repository<D>
    private var wanted: Set<String> = []
    private var asked: [String] = []
    private var entries: [String: Entry] = [:]
    /// The entries that the current command changed, with their previous values.
    private var undo: [(id: String, entry: Entry)] = []
    private(set) var missed = false

    init(_ repository: any Repository<D>) {
        self.repository = repository
    }

    func want(_ id: String) {
        if entries[id] == nil { wanted.insert(id) }
    }

    func pendingReads() -> Statements {
        asked = wanted.sorted()
        wanted = []
        return asked.isEmpty ? [] : repository.reads(asked, locking: true)
    }

    func take(_ results: ArraySlice<QueryResult>) throws {
        let found = try repository.loaded(results)
        for id in asked { entries[id] = Entry(before: found[id], current: found[id]) }
    }

    func current(_ id: String) -> Loaded<D.State>? {
        guard let entry = entries[id] else {
            missed = true
            return nil
        }
        return entry.current
    }

    func append(_ event: Event<D.Payload>, to id: String) {
        guard var entry = entries[id] else {
            missed = true
            return
        }
        if !undo.contains(where: { $0.id == id }) { undo.append((id, entry)) }
        guard let state = D.evolve(entry.current?.state, event) else {
            preconditionFailure("\(D.self) decided an event that results in no state")
        }
        entry.current = Loaded(state, version: event.identity.sequence, lastEventAt: event.identity.timestamp)
        entry.events.append(event)
        entries[id] = entry
    }

    func keepStep() {
        undo = []
    }

    func undoStep() {
        for (id, entry) in undo { entries[id] = entry }
        undo = []
        missed = false
    }

    func writes() -> Statements {
        let changes = entries.sorted { $0.key < $1.key }.compactMap { id, entry in
            entry.current.flatMap { current in
                entry.events.isEmpty
                    ? nil : Change<D>(id: id, before: entry.before, after: current, events: entry.events)
            }
        }
        return changes.isEmpty ? [] : repository.writes(changes)
    }

    func proofReads() -> Statements {
        let changed = entries.filter { !$0.value.events.isEmpty }.keys.sorted()
        return changed.isEmpty ? [] : repository.reads(changed, locking: false)
    }

    func isStored(_ results: ArraySlice<QueryResult>) throws -> Bool? {
        let found = try repository.loaded(results)
        for (id, entry) in entries where !entry.events.isEmpty {
            guard let own = entry.current else { continue }
            guard let stored = found[id], stored.version >= own.version else { return false }
            if stored.version == own.version && stored.lastEventAt == own.lastEventAt { return true }
        }
        return nil
    }
}

/// The facts of one kind.
final class FactSession<F: Fact>: WorkSession {
    private var wanted: Set<String> = []
    private var asked: [String] = []
    private var values: [String: F.Value] = [:]
    private var undo: [(key: String, value: F.Value)] = []
    private(set) var missed = false
    private let cache: FactCache<F>?
    private let trustsCache: Bool
    /// The number of cached values that were used since the last read.
    private var hits = 0

    /// - Parameter trustsCache: whether cached values are used. Values that are read are cached in either case.
    init(_ cache: FactCache<F>?, trustsCache: Bool) {
        self.cache = cache
        self.trustsCache = trustsCache
    }

    func want(_ key: String) {
        if values[key] != nil { return }
        if trustsCache, let kept = cache?.value(of: key) {
            values[key] = kept
            hits += 1
        } else {
            wanted.insert(key)
        }
    }

    func pendingReads() -> Statements {
        asked = wanted.sorted()
        wanted = []
        cache?.looked(hits: hits, misses: asked.count)
        hits = 0
        return asked.isEmpty ? [] : F.reads(asked)
    }

    func take(_ results: ArraySlice<QueryResult>) throws {
        let found = try F.values(results)
        for key in asked {
            let value = found[key] ?? F.absent
            values[key] = value
            // The row is locked until the transaction ends, so a writer that changes it sends its notification later.
            cache?.keep(value, of: key)
        }
    }

    func value(_ key: String) -> F.Value {
        if let value = values[key] { return value }
        missed = true
        return F.absent
    }

    func change(_ key: String, _ body: (inout F.Value) -> Void) {
        guard var value = values[key] else {
            missed = true
            return
        }
        undo.append((key, value))
        // The row is locked, so no other transaction can cache the value again before this one ends.
        cache?.remove(key)
        body(&value)
        values[key] = value
    }

    func keepStep() {
        undo = []
    }

    func undoStep() {
        for (key, value) in undo.reversed() { values[key] = value }
        undo = []
        missed = false
    }

    func writes() -> Statements { [] }
    func proofReads() -> Statements { [] }
    func isStored(_ results: ArraySlice<QueryResult>) throws -> Bool? { nil }
}
