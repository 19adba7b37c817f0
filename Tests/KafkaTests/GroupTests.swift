import EmbeddedKafka
import Kafka
import StreamCore
import Synchronization
import TestKit
import Testing

/// The record of a group's work: who read which record, and the next offset of each partition.
final class GroupLog: Sendable {
    struct State {
        var next: [TopicPartition: Int64] = [:]
        var read: [TopicPartition: [Int64]] = [:]
        var owners: [TopicPartition: String] = [:]
        var problems: [String] = []
        var produced = 0
    }

    private let state = Mutex(State())

    func withState<Result: Sendable>(_ body: (inout State) -> Result) -> Result { state.withLock { body(&$0) } }
    var readCount: Int { state.withLock { $0.read.values.reduce(0) { $0 + $1.count } } }
    var ownersCount: Int { state.withLock { Set($0.owners.values).count } }
}

/// A member that answers every rebalance and records what it reads, until its task is cancelled.
struct Member {
    let name: String
    let consumer: Consumer
    let log: GroupLog

    func run() async throws {
        while !Task.isCancelled { try await step() }
        log.withState { state in state.owners = state.owners.filter { $0.value != name } }
        #expect(await consumer.close(timeoutMs: 60_000))
    }

    func step() async throws {
        switch try await consumer.poll(BatchLimits(maxRecords: 50, maxWaitMs: 20)) {
        case .assigned(let partitions):
            let start = log.withState { state in
                for partition in partitions {
                    if let owner = state.owners[partition] { state.problems.append("\(partition) is still \(owner)'s") }
                    state.owners[partition] = name
                }
                return state.next
            }
            try await consumer.assign(
                Dictionary(uniqueKeysWithValues: partitions.map { ($0, .offset(start[$0] ?? 0)) }))
        case .revoked(let partitions), .lost(let partitions):
            log.withState { state in
                for partition in partitions { state.owners[partition] = nil }
            }
            try await consumer.unassign(partitions)
        case .batch(let batch):
            log.withState { state in
                for record in batch {
                    let partition = record.topicPartition
                    if state.owners[partition] != name { state.problems.append("\(name) read \(partition)") }
                    state.read[partition, default: []].append(record.offset)
                    state.next[partition] = record.offset + 1
                }
            }
        case .error(let error) where error.kind != .transient:
            throw error
        case .error, .ends, .idle:
            break
        }
    }
}

@Suite struct GroupTests {
    @Test(arguments: ["roundrobin", "range"] + (KafkaClientConfiguration.isStickySafe ? ["cooperative-sticky"] : []))
    func aRebalanceLosesNothingAndKeepsTheOrder(strategy: String) async throws {
        try await TestKafka.withTopics(partitions: 4) { topics in
            let configuration = try TestKafka.clientConfiguration(
                properties: ["partition.assignment.strategy": strategy])
            let group = TestKafka.uniqueName("group")
            let log = GroupLog()
            let members = try ["first", "second"].map {
                Member(name: $0, consumer: try Consumer(configuration, group: group), log: log)
            }
            let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                try await members[0].consumer.subscribe(topics)
                tasks.addTask { try await members[0].run() }
                tasks.addTask {
                    while !Task.isCancelled {
                        let number = log.withState { $0.produced }
                        try await producer.send(topic: topics[0], key: Array("\(number)".utf8), value: [1])
                        log.withState { $0.produced += 1 }
                    }
                }
                try await eventually { log.readCount > 100 }
                // The second member joins under load. Later the first member leaves with all its partitions. The second
                // member subscribes just before it begins to poll, because an assignment that waits for a poll may be
                // lost before it is delivered.
                try await members[1].consumer.subscribe(topics)
                let second = Task { try await members[1].run() }
                try await eventually { log.ownersCount == 2 }
                let atRebalance = log.readCount
                try await eventually { log.readCount > atRebalance + 100 }
                tasks.cancelAll()
                for try await _ in tasks {}
                try await eventually { log.readCount == log.withState { $0.produced } }
                #expect(log.withState { Set($0.owners.values) } == ["second"])
                second.cancel()
                try await second.value
            }
            await producer.close(timeoutMs: 5_000)
            log.withState { state in
                #expect(state.problems.prefix(10) == [])
                for (_, offsets) in state.read { #expect(offsets == Array(0..<Int64(offsets.count))) }
            }
        }
    }

    @Test func aSecondSeekBeforeAnyRecordKeepsTheFirst() async throws {
        try await TestKafka.withTopics(2) { topics in
            let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
            for topic in topics {
                for _ in 0..<20 { try await producer.send(topic: topic, key: nil, value: [1]) }
            }
            await producer.close(timeoutMs: 5_000)
            let consumer = try Consumer(try TestKafka.clientConfiguration(), group: TestKafka.uniqueName("group"))
            try await consumer.subscribe(topics)
            var read: [String: [Int64]] = [:]
            func readUntil(_ isDone: () -> Bool) async throws {
                try await eventually {
                    switch try await consumer.poll(BatchLimits()) {
                    case .assigned(let partitions):
                        try await consumer.assign(Dictionary(uniqueKeysWithValues: partitions.map { ($0, .beginning) }))
                    case .batch(let batch):
                        for record in batch { read[record.topicPartition.topic, default: []].append(record.offset) }
                    default: break
                    }
                    return isDone()
                }
            }
            try await readUntil { read.values.reduce(0) { $0 + $1.count } == 40 }
            // Repeats the seeks of transactions that find, one after the other, that another process moved their
            // offsets.
            read = [:]
            try await consumer.seek([TopicPartition(topic: topics[0], partition: 0): .offset(5)])
            try await consumer.seek([TopicPartition(topic: topics[1], partition: 0): .offset(15)])
            try await readUntil { read.values.reduce(0) { $0 + $1.count } >= 20 }
            #expect(read == [topics[0]: Array(5..<20), topics[1]: Array(15..<20)])
            await consumer.close(timeoutMs: 5_000)
        }
    }

    @Test func closingWithAnUnansweredRebalanceLeavesInTime() async throws {
        try await TestKafka.withTopics { topics in
            let consumer = try Consumer(
                try TestKafka.clientConfiguration(), group: TestKafka.uniqueName("group"))
            try await consumer.subscribe(topics)
            try await eventually {
                if case .assigned(let partitions) = try await consumer.poll(BatchLimits()) {
                    #expect(partitions == [TopicPartition(topic: topics[0], partition: 0)])
                    return true
                }
                return false
            }
            #expect(await consumer.close(timeoutMs: 60_000))
        }
    }

    @Test func closingInTheMiddleOfARevocationLeavesInTime() async throws {
        try await TestKafka.withTopics(partitions: 2) { topics in
            let group = TestKafka.uniqueName("group")
            let log = GroupLog()
            let first = Member(
                name: "first", consumer: try Consumer(try TestKafka.clientConfiguration(), group: group), log: log)
            try await first.consumer.subscribe(topics)
            try await eventually {
                try await first.step()
                return log.ownersCount == 1
            }
            let second = Member(
                name: "second", consumer: try Consumer(try TestKafka.clientConfiguration(), group: group), log: log)
            try await second.consumer.subscribe(topics)
            try await eventually {
                _ = try await second.consumer.poll(BatchLimits(maxWaitMs: 5))
                if case .revoked = try await first.consumer.poll(BatchLimits(maxWaitMs: 5)) { return true }
                return false
            }
            #expect(await first.consumer.close(timeoutMs: 60_000))
            // The coordinator answers the leave request after the join request. Before that, the mock waits for the end
            // of the session.
            #expect(await second.consumer.close(timeoutMs: 60_000))
        }
    }

    @Test func anAssignmentThatTheGroupTookAwayIsLost() async throws {
        try await TestKafka.withPrivateCluster { cluster, configuration in
            try cluster.createTopic("t", partitions: 1)
            let log = GroupLog()
            let member = Member(name: "only", consumer: try Consumer(configuration, group: "g"), log: log)
            try await member.consumer.subscribe(["t"])
            try await eventually {
                try await member.step()
                return log.ownersCount == 1
            }
            // The group no longer knows this member.
            cluster.pushRequestErrors(.heartbeat, [25])
            try await eventually {
                switch try await member.consumer.poll(BatchLimits()) {
                case .lost(let partitions):
                    #expect(partitions == [TopicPartition(topic: "t", partition: 0)])
                    try await member.consumer.unassign(partitions)
                    return true
                case .revoked:
                    Issue.record("lost partitions were reported as revoked")
                    return true
                default:
                    return false
                }
            }
            // The member joins the group again.
            log.withState { $0.owners = [:] }
            try await eventually {
                try await member.step()
                return log.ownersCount == 1
            }
            #expect(await member.consumer.close(timeoutMs: 60_000))
        }
    }

    /// A member that dies does not leave the group. With the defaults of these clients its session ends after six
    /// seconds. With librdkafka's default, no member would read its partitions for 45 seconds.
    @Test func aMemberThatDiesIsReplacedSoon() async throws {
        try await TestKafka.withTopics(partitions: 2) { topics in
            let kafka = KafkaClientConfiguration(
                bootstrapServers: try TestKafka.clientConfiguration().bootstrapServers)
            let group = TestKafka.uniqueName("group")
            let log = GroupLog()
            var first: Member? = Member(name: "first", consumer: try Consumer(kafka, group: group), log: log)
            try await first?.consumer.subscribe(topics)
            try await eventually {
                try await first?.step()
                return log.ownersCount == 1
            }
            // Releases the consumer without closing it, so it does not leave the group.
            first = nil
            log.withState { $0.owners = [:] }
            let died = ContinuousClock.now
            let second = Member(name: "second", consumer: try Consumer(kafka, group: group), log: log)
            try await second.consumer.subscribe(topics)
            try await eventually {
                try await second.step()
                return log.withState { $0.owners.count } == 2
            }
            #expect(ContinuousClock.now - died < .seconds(30))
            #expect(await second.consumer.close(timeoutMs: 60_000))
        }
    }

    @Test(.disabled(if: TestKafka.isMock, "the mock treats a static member as any other"))
    func aStaticMemberComesBackWithoutARebalance() async throws {
        try await TestKafka.withTopics(partitions: 2) { topics in
            let kafka = try TestKafka.clientConfiguration(properties: ["session.timeout.ms": "30000"])
            let group = TestKafka.uniqueName("group")
            let log = GroupLog()
            func member(_ name: String) async throws -> Member {
                let member = Member(
                    name: name, consumer: try Consumer(kafka, group: group, instance: name), log: log)
                try await member.consumer.subscribe(topics)
                return member
            }
            let other = try await member("other")
            var restarted = try await member("restarted")
            try await eventually {
                try await other.step()
                try await restarted.step()
                return log.ownersCount == 2
            }
            let before = log.withState { $0.owners }
            #expect(await restarted.consumer.close(timeoutMs: 60_000))
            log.withState { state in state.owners = state.owners.filter { $0.value == "other" } }
            restarted = try await member("restarted")
            try await eventually {
                // The other member receives no rebalance. A rebalance would record a problem or take its partition
                // away.
                try await other.step()
                try await restarted.step()
                return log.withState { $0.owners } == before
            }
            #expect(log.withState { $0.problems } == [])
            for member in [other, restarted] { #expect(await member.consumer.close(timeoutMs: 60_000)) }
        }
    }

    @Test func theCoordinatorMayMoveAndFail() async throws {
        try await TestKafka.withPrivateCluster(brokers: 2) { cluster, configuration in
            try cluster.createTopic("t", partitions: 1, replication: 2)
            try cluster.setCoordinator(group: "g", broker: 1)
            let consumer = try Consumer(configuration, group: "g")
            let partition = TopicPartition(topic: "t", partition: 0)
            try await consumer.commit([partition: 5])
            try cluster.setCoordinator(group: "g", broker: 2)
            try cluster.setPartitionLeader(topic: "t", partition: 0, broker: 2)
            try await eventually {
                do throws(KafkaError) {
                    try await consumer.commit([partition: 6])
                    return true
                } catch {
                    #expect(error.kind == .transient)
                    return false
                }
            }
            #expect(try await consumer.committed([partition], timeoutMs: 60_000) == [partition: 6])
            #expect(await consumer.close(timeoutMs: 60_000))
        }
    }
}
