internal import Kafka

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
            throw CheckSkipped("the database names no consumer, and so no topic")
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
            findings += Self.findings(
                topic, state, TopicSettings(settings), brokers: brokers, isOfEvents: isOfEvents)
        }
        return findings
    }

    static func missing(_ topic: String, isOfEvents: Bool) -> Finding {
        Finding(
            isOfEvents ? .critical : .warning, "topic \(topic) does not exist",
            remedy: "create it: kafka-topics.sh --create --topic \(topic) --partitions N --replication-factor 3")
    }

    static func findings(
        _ topic: String, _ state: TopicState, _ settings: TopicSettings, brokers: Int, isOfEvents: Bool
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
                    remedy: "check which broker is down or has a lag"))
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
                    remedy: "set min.insync.replicas=2"))
        }
        if isOfEvents, settings.isCompacted {
            findings.append(
                Finding(
                    .warning, "\(topic): compaction keeps only the last event of a key, so a rebuild lacks events",
                    remedy: "set cleanup.policy=delete"))
        }
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
}

/// The settings of a topic that its brokers report.
struct TopicSettings {
    static let names = ["retention.ms", "min.insync.replicas", "cleanup.policy"]

    /// nil if it is unlimited or unknown.
    let retentionMs: Int64?
    let minInsyncReplicas: Int?
    let isCompacted: Bool

    init(_ settings: [String: String]) {
        retentionMs = settings["retention.ms"].flatMap { Int64($0) }.flatMap { $0 < 0 ? nil : $0 }
        minInsyncReplicas = settings["min.insync.replicas"].flatMap { Int($0) }
        isCompacted = settings["cleanup.policy"]?.contains("compact") ?? false
    }
}
