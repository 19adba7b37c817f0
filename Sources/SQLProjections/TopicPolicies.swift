internal import Projections

/// What the origin of a record decides: where the fields of its event stand, and what becomes of an event of an unknown
/// type.
struct TopicPolicy: Sendable {
    var envelope: EnvelopeReader
    var unknownTypes: UnknownTypePolicy
}

/// The policies of a folder's topics.
struct TopicPolicies: Sendable {
    /// The policy of topics without their own.
    let common: TopicPolicy
    /// The policies of topics that differ, by topic.
    let own: [String: TopicPolicy]

    subscript(topic: String) -> TopicPolicy {
        own.isEmpty ? common : own[topic] ?? common
    }
}
