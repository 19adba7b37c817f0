internal import Kafka
internal import StreamCore

/// Checks whether Kafka answers.
struct BrokersCheck: Check {
    let name = "kafka"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        do {
            let brokers = try await scene.kafka().brokers()
            return [Finding(.ok, "\(brokers.count) broker\(brokers.count == 1 ? "" : "s")")]
        } catch let error as KafkaError {
            return [
                Finding(
                    .critical, "Kafka is unreachable: \(error.message)",
                    remedy: "start the brokers, or set others with --bootstrap-servers")
            ]
        }
    }
}

/// Checks whether the topics exist and have settings that are suitable for events.
struct TopicsCheck: Check {
    let name = "topics"

    func run(_ scene: CheckScene) async throws -> [Finding] {
        let admin = try scene.kafka()
        if scene.expected.eventTopics.isEmpty, scene.expected.letterTopics.isEmpty {
            throw CheckSkipped("the database contains no consumer, so no topics are known")
        }
        let states = try await admin.topicStates()
        let brokers = try await admin.brokers().count
        var findings: [Finding] = []
        for topic in scene.expected.eventTopics + scene.expected.letterTopics {
            let isOfEvents = scene.expected.eventTopics.contains(topic)
            guard let state = states[topic] else {
                findings.append(Self.missing(topic, isOfEvents: isOfEvents))
                continue
            }
            var settings: [String: String] = [:]
            for name in TopicSettings.names {
                do throws(KafkaError) {
                    settings[name] = try await admin.setting(name, of: topic)
                } catch {
                    // These brokers do not report settings. The partitions are checked nevertheless.
                    guard error.isUnsupported else { throw error }
                    break
                }
            }
            let gone = isOfEvents ? try await Self.partitionsWithoutBeginning(topic, state, admin) : 0
            findings += Self.findings(
                topic, state, TopicSettings(settings), brokers: brokers, isOfEvents: isOfEvents,
                withoutBeginning: gone)
        }
        return findings
    }

    /// The number of partitions from which retention has already removed records.
    private static func partitionsWithoutBeginning(
        _ topic: String, _ state: TopicState, _ admin: KafkaAdmin
    ) async throws -> Int {
        // Their offsets would be waited for.
        guard state.withoutLeader == 0 else { return 0 }
        let partitions = (0..<Int32(state.partitions)).map { TopicPartition(topic: topic, partition: $0) }
        let places = Dictionary(uniqueKeysWithValues: partitions.map { ($0, PartitionPlace.beginning) })
        return try await admin.offsets(of: places).values.count { $0 > 0 }
    }

    static func missing(_ topic: String, isOfEvents: Bool) -> Finding {
        Finding(
            isOfEvents ? .critical : .warning, "topic \(topic) does not exist",
            remedy: "create it: kafka-topics.sh --bootstrap-server HOST:PORT --create --topic \(topic) --partitions N "
                + "--replication-factor 3")
    }

    static func findings(
        _ topic: String, _ state: TopicState, _ settings: TopicSettings, brokers: Int, isOfEvents: Bool,
        withoutBeginning: Int = 0
    ) -> [Finding] {
        var findings: [Finding] = []
        if state.withoutLeader > 0 {
            findings.append(
                Finding(
                    .critical, "\(topic): \(state.withoutLeader) of \(state.partitions) partitions have no leader",
                    remedy: "start the brokers that have their replicas"))
        }
        if state.underReplicated > 0 {
            findings.append(
                Finding(
                    .warning, "\(topic): \(state.underReplicated) partitions lack in-sync replicas",
                    remedy: "check which broker is down or behind"))
        }
        if brokers > 1, state.replicas < 2 {
            findings.append(
                Finding(
                    .warning, "\(topic): only one replica on \(brokers) brokers, so a lost disk loses events",
                    remedy: "raise its replication factor to 3: kafka-reassign-partitions.sh"))
        } else if state.replicas > 2, let least = settings.minInsyncReplicas, least < 2 {
            findings.append(
                Finding(
                    .warning,
                    "\(topic): min.insync.replicas is \(least), so an acknowledged event may have only one replica",
                    remedy: configure(topic, "min.insync.replicas=2")))
        }
        if isOfEvents, settings.isCompacted {
            findings.append(
                Finding(
                    .warning, "\(topic): compaction keeps only the last event of a key, so a rebuild lacks events",
                    remedy: configure(topic, "cleanup.policy=delete")))
        }
        if isOfEvents, let finding = rebuild(topic, state, settings, withoutBeginning) { findings.append(finding) }
        if findings.isEmpty {
            let kept = settings.retentionMs.map { ", kept for \(Age.text(seconds: $0 / 1_000))" } ?? ""
            findings = [
                Finding(
                    .ok,
                    "\(topic): \(state.partitions) partitions, \(state.replicas) "
                        + "cop\(state.replicas == 1 ? "y" : "ies")\(kept)")
            ]
        }
        return findings
    }

    /// Compares the retention with the need of a rebuild, which reads a topic from its first event.
    private static func rebuild(
        _ topic: String, _ state: TopicState, _ settings: TopicSettings, _ withoutBeginning: Int
    ) -> Finding? {
        if withoutBeginning > 0 {
            return Finding(
                .note,
                "\(topic): Kafka no longer has the beginning of \(withoutBeginning) of \(state.partitions) partitions, "
                    + "so a rebuild cannot start there",
                remedy: "rebuild with --from oldest, and verify with --incomplete-history")
        }
        guard let limit = settings.retention else { return nil }
        return Finding(
            .warning, "\(topic): Kafka removes events \(limit), but a rebuild needs all of them",
            remedy: "while Kafka still has the first event: " + configure(topic, "retention.ms=-1,retention.bytes=-1"))
    }

    private static func configure(_ topic: String, _ settings: String) -> String {
        "kafka-configs.sh --bootstrap-server HOST:PORT --alter --entity-type topics --entity-name \(topic) "
            + "--add-config \(settings)"
    }
}

/// The settings of a topic that its brokers report.
struct TopicSettings {
    static let names = ["retention.ms", "retention.bytes", "min.insync.replicas", "cleanup.policy"]

    /// nil if it is unlimited or unknown.
    let retentionMs: Int64?
    /// The size of a partition; nil if it is unlimited or unknown.
    let retentionBytes: Int64?
    let minInsyncReplicas: Int?
    let isCompacted: Bool

    init(_ settings: [String: String]) {
        func limit(_ name: String) -> Int64? { settings[name].flatMap { Int64($0) }.flatMap { $0 < 0 ? nil : $0 } }
        (retentionMs, retentionBytes) = (limit("retention.ms"), limit("retention.bytes"))
        minInsyncReplicas = settings["min.insync.replicas"].flatMap { Int($0) }
        isCompacted = settings["cleanup.policy"]?.contains("compact") ?? false
    }

    /// When records are removed; nil if never, or if it is unknown.
    var retention: String? {
        let age = retentionMs.map { "after \(Age.text(seconds: $0 / 1_000))" }
        let size = retentionBytes.map { "when a partition exceeds \($0 >> 20) MiB" }
        let limits = [age, size].compactMap(\.self)
        return limits.isEmpty ? nil : limits.joined(separator: " and ")
    }
}
