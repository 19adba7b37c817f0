internal import StreamCore

/// What must keep its order: the records of one key in one topic.
struct Lane: Hashable, Sendable {
    let topic: String
    let key: [UInt8]
}

/// Whether rows may be sent: by their topic, their partition and their key.
///
/// A **topic** that is not there, or not for us, fails each of its records, some of them seconds after later ones were
/// taken: were the topic made at that moment, younger records would overtake older ones. So the first record of each
/// topic goes alone, and the others follow once it is acknowledged. Where it is not, the topic is held, and tried again
/// after a while.
///
/// A **partition** whose broker knows nothing of this producer takes any batch as its first: were the first one refused
/// for a reason that passes, the second would be taken and the first one held for delivered. So the first record of
/// each partition goes alone, too. A broker forgets producers that sent nothing for long (a day, unless configured
/// otherwise), so that a proof is good for so long after it was used only.
///
/// A **key** of which a row is in `outbox_failed` waits for an operator.
///
/// Rows that may not be sent are left in the outbox. The lowest of them is remembered where they were stopped; while
/// any is left, only the scan of the backlog may send rows through there, which reads them in their order, and once it
/// has come as far as the forward scan, new rows go through again. A pure value.
struct SendGates {
    /// What to do with a row.
    enum Way: Equatable {
        case open
        /// It is the first of its topic or partition: nothing may follow it until it is acknowledged.
        case first(Probe)
        /// The first one is on its way.
        case wait(Stop, since: ContinuousClock.Instant)
        /// It stays in the outbox.
        case leave(Stop)
    }

    /// What a row was stopped at.
    enum Stop: Equatable {
        case topic
        case lane
        case partition(Int)
    }

    /// What a first record proves.
    struct Probe: Hashable, Sendable {
        let topic: String
        /// nil: whether the topic takes records at all.
        let partition: Int?
    }

    /// Rows that were left behind.
    private struct Left {
        /// All of them have this id or a higher one; nil when there are none.
        var first: Int64?
        /// The scan of the backlog is on its way to them.
        var isServed = false

        /// Whether the row may pass for what was left.
        func lets(_ scan: ScanCursor.Scan) -> Bool { first == nil || scan == .backlog }

        /// - Parameter isAhead: the scan of the backlog will come to the row.
        mutating func leave(_ id: Int64, isAhead: Bool) {
            first = min(first ?? id, id)
            if !isAhead { isServed = false }
        }
    }

    private struct Partition {
        enum State { case unproven, proving, proven }
        var state = State.unproven
        /// When a record was sent there last.
        var usedAt = ContinuousClock.now
        var left = Left()
    }

    private struct TopicGate {
        enum State: Equatable { case untried, proving, open, held(until: ContinuousClock.Instant) }
        let name: String
        var state = State.untried
        var provingSince = ContinuousClock.now
        var hold: Duration?
        var left = Left()
        /// By number; empty while it is not known how many there are.
        var partitions: [Partition] = []
        /// The page for which was asked how many there are.
        var page: UInt64 = 0

        var isClosed: Bool { if case .held = state { true } else { state == .proving } }
    }

    private struct LaneGate {
        var isBlocked = true
        /// The database does not know of it: a row could neither be published nor be set aside. It waits until then.
        var unsavedUntil: ContinuousClock.Instant?
        var left = Left()
    }

    private var topics: [TopicGate] = []
    private var places: [String: Int] = [:]
    private var lastPlace = 0
    private var lanes: [Lane: LaneGate] = [:]
    /// Something may be sent that was left behind and is not served yet.
    private var hasNews = false
    private var page: UInt64 = 0
    private var now = ContinuousClock.now

    static let initialHold = Duration.seconds(1)
    static let longestHold = Duration.seconds(30)
    /// A proof that was not used for longer is none any more.
    static let proofLife = Duration.seconds(600)

    // MARK: rows

    /// The rows of a page are next.
    mutating func begin(page number: UInt64, now: ContinuousClock.Instant) {
        page = number
        self.now = now
    }

    /// - Parameters:
    ///   - hash: of the key.
    ///   - partitions: how many the topic has, asked for once a page; nil while that is not known.
    mutating func way(
        topic name: String, key: Span<UInt8>, hash: UInt32, scan: ScanCursor.Scan, partitions: (String) -> Int?
    ) -> Way {
        let place = self.place(of: name)
        if topics[place].page != page {
            topics[place].page = page
            divide(place, into: partitions(name))
        }
        switch topics[place].state {
        case .held: return .leave(.topic)
        case .proving: return .wait(.topic, since: topics[place].provingSince)
        case .untried, .open: break
        }
        guard topics[place].left.lets(scan) else { return .leave(.topic) }
        if !lanes.isEmpty, let lane = lanes[Lane(topic: name, key: Array(copying: key))] {
            guard !lane.isBlocked, lane.left.lets(scan) else { return .leave(.lane) }
        }
        let count = topics[place].partitions.count
        let number = count == 0 ? 0 : Int(hash & 0x7FFF_FFFF) % count
        if count > 0 && !topics[place].partitions[number].left.lets(scan) { return .leave(.partition(number)) }
        if topics[place].state == .untried { return .first(Probe(topic: name, partition: nil)) }
        return count == 0 ? .open : way(place, number)
    }

    private mutating func way(_ place: Int, _ number: Int) -> Way {
        switch topics[place].partitions[number].state {
        case .proven where now - topics[place].partitions[number].usedAt < Self.proofLife:
            topics[place].partitions[number].usedAt = now
            return .open
        case .proven, .unproven: return .first(Probe(topic: topics[place].name, partition: number))
        case .proving: return .wait(.partition(number), since: topics[place].partitions[number].usedAt)
        }
    }

    /// The row stays in the outbox: it is remembered where it may not pass.
    ///
    /// - Parameter isAhead: the scan of the backlog, if it is on its way, will come to the row.
    mutating func leave(_ id: Int64, at stop: Stop, topic name: String, key: Span<UInt8>, isAhead: Bool) {
        let place = self.place(of: name)
        hasNews = hasNews || !isAhead
        switch stop {
        case .topic: topics[place].left.leave(id, isAhead: isAhead)
        case .lane:
            lanes[Lane(topic: name, key: Array(copying: key)), default: LaneGate()].left.leave(id, isAhead: isAhead)
        case .partition(let number): topics[place].partitions[number].left.leave(id, isAhead: isAhead)
        }
    }

    // MARK: topics and partitions

    /// The first record is on its way.
    mutating func prove(_ probe: Probe, now: ContinuousClock.Instant = .now) {
        let place = self.place(of: probe.topic)
        guard let number = probe.partition else {
            topics[place].state = .proving
            topics[place].provingSince = now
            return
        }
        guard number < topics[place].partitions.count else { return }
        topics[place].partitions[number].state = .proving
        topics[place].partitions[number].usedAt = now
    }

    /// The first record was acknowledged.
    ///
    /// - Parameters:
    ///   - partition: where it went.
    ///   - partitions: how many the topic has.
    mutating func open(_ probe: Probe, partition: Int, of partitions: Int?) {
        let place = self.place(of: probe.topic)
        hasNews = true
        topics[place].hold = nil
        if probe.partition == nil && topics[place].state == .proving { topics[place].state = .open }
        divide(place, into: partitions)
        if let number = probe.partition, number != partition, number < topics[place].partitions.count {
            topics[place].partitions[number].state = .unproven
        }
        if partition < topics[place].partitions.count {
            topics[place].partitions[partition].state = .proven
            topics[place].partitions[partition].usedAt = .now
        }
    }

    /// The topic refused a record.
    ///
    /// - Parameter id: of the record's row.
    /// - Returns: how long it is held.
    mutating func hold(_ topic: String, row id: Int64, now: ContinuousClock.Instant) -> Duration {
        let place = self.place(of: topic)
        topics[place].left.leave(id, isAhead: false)
        let wait = topics[place].hold.map { min($0 * 2, Self.longestHold) } ?? Self.initialHold
        topics[place].hold = wait
        topics[place].state = .held(until: now + wait)
        for number in topics[place].partitions.indices { topics[place].partitions[number].state = .unproven }
        return wait
    }

    /// Topics whose time has come are to be tried again.
    mutating func release(now: ContinuousClock.Instant) {
        for place in topics.indices {
            guard case .held(let until) = topics[place].state, until <= now else { continue }
            topics[place].state = .untried
            hasNews = true
        }
    }

    /// A new producer knows nothing of topics, and brokers know nothing of it.
    mutating func forgetProofs() {
        hasNews = true
        for place in topics.indices {
            for number in topics[place].partitions.indices { topics[place].partitions[number].state = .unproven }
            if topics[place].state == .open || topics[place].state == .proving { topics[place].state = .untried }
        }
    }

    /// Whether any first record is on its way.
    var isProving: Bool {
        topics.contains { topic in topic.state == .proving || topic.partitions.contains { $0.state == .proving } }
    }

    /// Topics that are held now.
    var heldCount: Int { topics.count { if case .held = $0.state { true } else { false } } }

    /// The keys' partitions are others when there are more of them: nothing is proven then.
    private mutating func divide(_ place: Int, into count: Int?) {
        guard let count, count != topics[place].partitions.count else { return }
        for partition in topics[place].partitions {
            guard let first = partition.left.first else { continue }
            topics[place].left.leave(first, isAhead: false)
            hasNews = true
        }
        topics[place].partitions = [Partition](repeating: Partition(), count: count)
    }

    private mutating func place(of name: String) -> Int {
        if lastPlace < topics.count && topics[lastPlace].name == name { return lastPlace }
        if let known = places[name] {
            lastPlace = known
        } else {
            lastPlace = topics.count
            topics.append(TopicGate(name: name))
            places[name] = lastPlace
        }
        return lastPlace
    }
}

// MARK: - keys

extension SendGates {
    /// Keys that wait for an operator.
    var blockedCount: Int { lanes.values.count { $0.isBlocked } }

    /// Whether the database has to be asked which keys wait.
    var hasBlockedLanes: Bool { lanes.values.contains { $0.isBlocked } }

    func isBlocked(_ lane: Lane) -> Bool { lanes[lane]?.isBlocked ?? false }

    /// A row of this lane was set aside.
    ///
    /// - Parameter instant: set when the database does not know; until then the lane waits whatever it says.
    mutating func block(_ lane: Lane, id: Int64, until instant: ContinuousClock.Instant? = nil) {
        var gate = lanes[lane] ?? LaneGate()
        gate.isBlocked = true
        if let instant { gate.unsavedUntil = instant }
        gate.left.leave(id, isAhead: false)
        lanes[lane] = gate
    }

    /// The lanes by `outbox_failed`, as it is now, with the lowest id of each that was set aside.
    ///
    /// - Returns: whether a lane is free that was not.
    mutating func replaceBlocked(with current: [Lane: Int64], now: ContinuousClock.Instant = .now) -> Bool {
        var isReleasing = false
        for (lane, gate) in lanes where gate.isBlocked && current[lane] == nil {
            if let instant = gate.unsavedUntil, instant > now { continue }
            // The row itself may be back in the outbox, below those that were left behind.
            lanes[lane]?.isBlocked = false
            hasNews = true
            isReleasing = true
        }
        for (lane, id) in current { block(lane, id: id) }
        return isReleasing
    }
}

// MARK: - the backlog

extension SendGates {
    /// From which id on rows were left behind that may be sent now and that the scan of the backlog is not on its way
    /// to; nil when there are none. From then on it is.
    mutating func serve() -> Int64? {
        guard hasNews else { return nil }
        hasNews = false
        var lowest: Int64?
        func look(_ left: inout Left) {
            guard let first = left.first, !left.isServed else { return }
            left.isServed = true
            lowest = min(lowest ?? first, first)
        }
        for place in topics.indices where !topics[place].isClosed {
            look(&topics[place].left)
            for number in topics[place].partitions.indices
            where topics[place].partitions[number].state != .proving {
                look(&topics[place].partitions[number].left)
            }
        }
        for (lane, gate) in lanes where !gate.isBlocked && gate.left.first != nil && !gate.left.isServed {
            var left = gate.left
            look(&left)
            lanes[lane]?.left = left
        }
        return lowest
    }

    /// The scan of the backlog begins anew.
    mutating func restartBacklog() {
        hasNews = true
        for place in topics.indices {
            topics[place].left.isServed = false
            for number in topics[place].partitions.indices { topics[place].partitions[number].left.isServed = false }
        }
        lanes = lanes.mapValues { gate in
            var gate = gate
            gate.left.isServed = false
            return gate
        }
    }

    /// Whether the scan of the backlog is on its way to anything.
    var isServing: Bool {
        topics.contains { $0.left.isServed || $0.partitions.contains { $0.left.isServed } }
            || lanes.values.contains { $0.left.isServed }
    }

    /// The scan of the backlog has come as far as the forward scan: nothing is left of what it was on its way to.
    mutating func caughtUp() {
        for place in topics.indices {
            if topics[place].left.isServed { topics[place].left = Left() }
            for number in topics[place].partitions.indices
            where topics[place].partitions[number].left.isServed {
                topics[place].partitions[number].left = Left()
            }
        }
        lanes = lanes.compactMapValues { gate in
            if !gate.left.isServed || gate.isBlocked { return gate }
            return nil
        }
    }
}
