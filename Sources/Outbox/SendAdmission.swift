internal import StreamCore

/// A key of one topic. The records of a topic key keep their order.
struct TopicKey: Hashable, Sendable {
    let topic: String
    let key: [UInt8]
}

/// Decides which rows the relay may send, by their topic, their partition and their key.
///
/// **Topics.** When a topic does not exist, or the relay has no right to write to it, each of its records fails. Some
/// of them fail seconds after later records were accepted. If the topic were created at that moment, younger records
/// would overtake older ones. Therefore the relay sends the first record of each topic alone. The others follow after
/// Kafka acknowledges it. If Kafka refuses it, the relay holds the topic and tries it again later.
///
/// **Partitions.** A broker that does not know this producer accepts any batch as its first. If it refused the first
/// batch for a temporary reason and accepted the second, librdkafka would report the first as delivered. Therefore the
/// relay also sends the first record of each partition alone. A broker forgets a producer that sends nothing for a long
/// time (a day by default), so a proof expires ``proofLife`` after its last use.
///
/// **Keys.** A key with a row in `outbox_failed` waits for an operator.
///
/// A row that may not be sent stays in the outbox. The relay remembers the lowest such row of each topic, partition
/// and key. While one is left, only the backlog scan may send rows there, because it reads them in their order. New
/// rows may be sent again after the backlog scan reaches the forward scan. This is a pure value.
struct SendAdmission {
    /// What the relay does with a row.
    enum Way: Equatable {
        /// Sends it.
        case open
        /// Sends it as the first record of its topic or partition. Nothing follows until Kafka acknowledges it.
        case first(Probe)
        /// Waits, because the first record is not acknowledged yet.
        case wait(Stop, since: ContinuousClock.Instant)
        /// Leaves it in the outbox.
        case leave(Stop)
    }

    /// The reason why a row may not be sent.
    enum Stop: Equatable {
        case topic
        case key
        case partition(Int)
    }

    /// What the acknowledgement of a first record proves.
    struct Probe: Hashable, Sendable {
        let topic: String
        /// nil: the topic accepts records.
        let partition: Int?
    }

    /// The rows that were left in the outbox.
    private struct Left {
        /// The lowest id of these rows, or a lower one; nil when there are none.
        var first: Int64?
        /// Whether the backlog scan is going to read these rows.
        var isServed = false

        /// Whether a row that `scan` reads may be sent, in view of the rows that were left.
        func lets(_ scan: ScanCursor.Scan) -> Bool { first == nil || scan == .backlog }

        /// - Parameter isAhead: whether the backlog scan is going to read the row.
        mutating func leave(_ id: Int64, isAhead: Bool) {
            first = min(first ?? id, id)
            if !isAhead { isServed = false }
        }
    }

    private struct Partition {
        enum State { case unproven, proving, proven }
        var state = State.unproven
        /// The time of the last record that was sent to it.
        var usedAt = ContinuousClock.now
        var left = Left()
    }

    private struct TopicState {
        enum State: Equatable { case untried, proving, open, held(until: ContinuousClock.Instant) }
        let name: String
        var state = State.untried
        var provingSince = ContinuousClock.now
        var hold: Duration?
        var left = Left()
        /// By number; empty while the number of partitions is unknown.
        var partitions: [Partition] = []
        /// The page for which the relay last asked for the number of partitions.
        var page: UInt64 = 0

        var isClosed: Bool { if case .held = state { true } else { state == .proving } }
    }

    private struct KeyState {
        var isBlocked = true
        /// The key waits until this time, because the relay could neither publish its row nor move it to
        /// `outbox_failed`, so the database does not list the key as blocked.
        var unsavedUntil: ContinuousClock.Instant?
        var left = Left()
    }

    private var topics: [TopicState] = []
    private var places: [String: Int] = [:]
    private var lastPlace = 0
    private var keys: [TopicKey: KeyState] = [:]
    /// Whether rows that were left may be sent now and the backlog scan is not going to read them yet.
    private var hasNews = false
    private var page: UInt64 = 0
    private var now = ContinuousClock.now

    static let initialHold = Duration.seconds(1)
    static let longestHold = Duration.seconds(30)
    /// Time after its last use at which a proof expires.
    static let proofLife = Duration.seconds(600)

    // MARK: rows

    /// Begins the rows of a page.
    mutating func begin(page number: UInt64, now: ContinuousClock.Instant) {
        page = number
        self.now = now
    }

    /// - Parameters:
    ///   - hash: the hash of the key.
    ///   - partitions: returns the number of partitions of a topic, nil while it is unknown. Called once a page.
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
        if !keys.isEmpty, let topicKey = keys[TopicKey(topic: name, key: Array(copying: key))] {
            guard !topicKey.isBlocked, topicKey.left.lets(scan) else { return .leave(.key) }
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

    /// Notes that a row was left in the outbox, and why.
    ///
    /// - Parameter isAhead: whether the backlog scan, if it is running, is going to read the row.
    mutating func leave(_ id: Int64, at stop: Stop, topic name: String, key: Span<UInt8>, isAhead: Bool) {
        let place = self.place(of: name)
        hasNews = hasNews || !isAhead
        switch stop {
        case .topic: topics[place].left.leave(id, isAhead: isAhead)
        case .key:
            keys[TopicKey(topic: name, key: Array(copying: key)), default: KeyState()].left.leave(id, isAhead: isAhead)
        case .partition(let number): topics[place].partitions[number].left.leave(id, isAhead: isAhead)
        }
    }

    // MARK: topics and partitions

    /// Notes that the first record of a topic or partition was sent.
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

    /// Notes that Kafka acknowledged the first record.
    ///
    /// - Parameters:
    ///   - partition: the partition of the record.
    ///   - partitions: the number of partitions of the topic.
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

    /// Holds a topic that refused a record.
    ///
    /// - Parameter id: the id of the record's row.
    /// - Returns: how long the topic is held.
    mutating func hold(_ topic: String, row id: Int64, now: ContinuousClock.Instant) -> Duration {
        let place = self.place(of: topic)
        topics[place].left.leave(id, isAhead: false)
        let wait = topics[place].hold.map { min($0 * 2, Self.longestHold) } ?? Self.initialHold
        topics[place].hold = wait
        topics[place].state = .held(until: now + wait)
        for number in topics[place].partitions.indices { topics[place].partitions[number].state = .unproven }
        return wait
    }

    /// Makes topics untried again whose hold has expired.
    mutating func release(now: ContinuousClock.Instant) {
        for place in topics.indices {
            guard case .held(let until) = topics[place].state, until <= now else { continue }
            topics[place].state = .untried
            hasNews = true
        }
    }

    /// Drops all proofs, because a new producer replaced the old one and no broker knows it.
    mutating func forgetProofs() {
        hasNews = true
        for place in topics.indices {
            for number in topics[place].partitions.indices { topics[place].partitions[number].state = .unproven }
            if topics[place].state == .open || topics[place].state == .proving { topics[place].state = .untried }
        }
    }

    /// Whether any first record waits for its acknowledgement.
    var isProving: Bool {
        topics.contains { topic in topic.state == .proving || topic.partitions.contains { $0.state == .proving } }
    }

    /// Number of topics that are held now.
    var heldCount: Int { topics.count { if case .held = $0.state { true } else { false } } }

    /// Drops the proofs of a topic when its number of partitions changes, because its keys then move between them.
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
            topics.append(TopicState(name: name))
            places[name] = lastPlace
        }
        return lastPlace
    }
}

// MARK: - keys

extension SendAdmission {
    /// Number of keys that wait for an operator.
    var blockedCount: Int { keys.values.count { $0.isBlocked } }

    /// Whether the relay has to ask the database which keys are still blocked.
    var hasBlockedKeys: Bool { keys.values.contains { $0.isBlocked } }

    func isBlocked(_ topicKey: TopicKey) -> Bool { keys[topicKey]?.isBlocked ?? false }

    /// Blocks a key, because a row of it was moved to `outbox_failed`.
    ///
    /// - Parameter instant: set if the database does not list the key. Until then the key stays blocked, whatever the
    ///   database says.
    mutating func block(_ topicKey: TopicKey, id: Int64, until instant: ContinuousClock.Instant? = nil) {
        var state = keys[topicKey] ?? KeyState()
        state.isBlocked = true
        if let instant { state.unsavedUntil = instant }
        state.left.leave(id, isAhead: false)
        keys[topicKey] = state
    }

    /// Replaces the blocked keys by those of `outbox_failed`, each with its lowest id there.
    ///
    /// - Returns: whether a key was unblocked.
    mutating func replaceBlocked(with current: [TopicKey: Int64], now: ContinuousClock.Instant = .now) -> Bool {
        var isReleasing = false
        for (topicKey, state) in keys where state.isBlocked && current[topicKey] == nil {
            if let instant = state.unsavedUntil, instant > now { continue }
            // The operator may have put the row back into the outbox, below the rows that were left.
            keys[topicKey]?.isBlocked = false
            hasNews = true
            isReleasing = true
        }
        for (topicKey, id) in current { block(topicKey, id: id) }
        return isReleasing
    }
}

// MARK: - the backlog

extension SendAdmission {
    /// Marks the left rows that may be sent now for the backlog scan.
    ///
    /// - Returns: the lowest id from which the scan has to begin; nil when nothing new may be sent.
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
        for (topicKey, state) in keys where !state.isBlocked && state.left.first != nil && !state.left.isServed {
            var left = state.left
            look(&left)
            keys[topicKey]?.left = left
        }
        return lowest
    }

    /// Forgets what the backlog scan was going to read, because it begins again.
    mutating func restartBacklog() {
        hasNews = true
        for place in topics.indices {
            topics[place].left.isServed = false
            for number in topics[place].partitions.indices { topics[place].partitions[number].left.isServed = false }
        }
        keys = keys.mapValues { state in
            var state = state
            state.left.isServed = false
            return state
        }
    }

    /// Whether the backlog scan is going to read any rows.
    var isServing: Bool {
        topics.contains { $0.left.isServed || $0.partitions.contains { $0.left.isServed } }
            || keys.values.contains { $0.left.isServed }
    }

    /// Notes that the backlog scan has reached the forward scan, so all rows marked for it were read.
    mutating func caughtUp() {
        for place in topics.indices {
            if topics[place].left.isServed { topics[place].left = Left() }
            for number in topics[place].partitions.indices
            where topics[place].partitions[number].left.isServed {
                topics[place].partitions[number].left = Left()
            }
        }
        keys = keys.compactMapValues { state in
            if !state.left.isServed || state.isBlocked { return state }
            return nil
        }
    }
}
