internal import DeadLetters
internal import Foundation
internal import StreamCore

/// Letters as JSON objects. Bytes are text if they are UTF-8. Otherwise they are base64, in a member whose name says
/// so.
enum LetterJSON {
    static func text(_ bytes: [UInt8]?) -> String? { bytes.flatMap { String(validating: $0, as: UTF8.self) } }

    static func base64Otherwise(_ bytes: [UInt8]?) -> String? {
        guard let bytes, text(bytes) == nil else { return nil }
        return Data(bytes).base64EncodedString()
    }

    struct Summary: Encodable {
        let letterId: Int64
        let consumer: String
        let state: String
        let reason: String
        let errorClass: String
        let fingerprint: String
        let message: String
        let topic: String
        let partition: Int32
        let offset: Int64
        let key: String?
        let keyBase64: String?
        let eventType: String?
        let attempts: Int32
        let nextAttemptAt: String?
        let createdAt: String
        let dialect: String

        init(_ letter: DeadLetterStore.Summary) {
            letterId = letter.letterID
            consumer = letter.consumer
            state = letter.state.rawValue
            reason = letter.reason
            errorClass = letter.errorClass
            fingerprint = letter.fingerprint
            message = letter.message
            topic = letter.origin.topic
            partition = letter.origin.partition
            offset = letter.origin.offset
            key = LetterJSON.text(letter.key)
            keyBase64 = LetterJSON.base64Otherwise(letter.key)
            eventType = letter.eventType
            attempts = letter.attempts
            nextAttemptAt = letter.nextAttemptAt?.description
            createdAt = letter.createdAt.description
            dialect = letter.dialect
        }
    }

    struct Page: Encodable {
        let letters: [Summary]
        /// The value of `--before` for the next page.
        let next: Int64?
    }

    struct Group: Encodable {
        let consumer: String
        let errorClass: String
        let fingerprint: String
        let firstSeen: String
        let lastSeen: String
        let pending: Int64
        let retrying: Int64
        let resolved: Int64
        let discarded: Int64
        let exampleLetter: Int64
        let exampleMessage: String

        init(_ group: DeadLetterStore.Group) {
            consumer = group.name.consumer
            errorClass = group.name.errorClass
            fingerprint = group.name.fingerprint
            firstSeen = group.firstSeen.description
            lastSeen = group.lastSeen.description
            pending = group.pending
            retrying = group.retrying
            resolved = group.resolved
            discarded = group.discarded
            exampleLetter = group.exampleLetter
            exampleMessage = group.exampleMessage
        }
    }

    struct Header: Encodable {
        let name: String
        let value: String?
        let valueBase64: String?

        init(_ header: DeadLetterStore.Header) {
            name = header.name
            value = LetterJSON.text(header.value)
            valueBase64 = LetterJSON.base64Otherwise(header.value)
        }
    }

    struct Detail: Encodable {
        struct Change: Encodable {
            let at: String
            let actor: String
            let action: String
            let from: String?
            let to: String?
            let reason: String?
        }

        struct Edit: Encodable {
            let edit: Int32
            let eventId: String
            let actor: String
            let reason: String
            let at: String
            let value: String?
            let valueBase64: String?
        }

        struct Neighbour: Encodable {
            let letterId: Int64
            let state: String
            let reason: String
            let errorClass: String
            let origin: String
            let eventType: String?
        }

        let letter: Summary
        let originAt: String?
        let stateSince: String
        let eventId: String?
        let stage: String?
        let firstErrorClass: String
        let firstMessage: String
        let replayTopic: String?
        let delivery: Int32
        let headers: [Header]
        let value: String?
        let valueBase64: String?
        let isValueWithConsumer: Bool
        let consumerGroup: String?
        let isNextInSequence: Bool
        let isDiscardOpen: Bool
        let history: [Change]
        let edits: [Edit]
        let openBefore: Int64
        let openBehind: Int64
        let sequence: [Neighbour]

        init(_ detail: DeadLetterStore.Detail) {
            let letter = detail.letter
            self.letter = Summary(letter.summary)
            originAt = letter.originAt?.description
            stateSince = letter.stateSince.description
            eventId = letter.eventID?.description
            stage = letter.stage
            firstErrorClass = letter.firstErrorClass
            firstMessage = letter.firstMessage
            replayTopic = letter.replayTopic
            delivery = letter.delivery
            headers = letter.headers.map { Header($0) }
            value = LetterJSON.text(letter.value)
            valueBase64 = LetterJSON.base64Otherwise(letter.value)
            isValueWithConsumer = letter.isValueWithConsumer
            consumerGroup = letter.consumerGroup.isEmpty ? nil : letter.consumerGroup
            isNextInSequence = letter.isNextInSequence
            isDiscardOpen = letter.isDiscardOpen
            history = detail.history.map {
                Change(
                    at: $0.at.description, actor: $0.actor, action: $0.action, from: $0.from, to: $0.to,
                    reason: $0.reason)
            }
            edits = detail.edits.map {
                Edit(
                    edit: $0.number, eventId: $0.eventID.description, actor: $0.actor, reason: $0.reason,
                    at: $0.at.description, value: LetterJSON.text($0.value),
                    valueBase64: LetterJSON.base64Otherwise($0.value))
            }
            openBefore = detail.openBefore
            openBehind = detail.openBehind
            sequence = detail.sequence.map {
                Neighbour(
                    letterId: $0.letterID, state: $0.state.rawValue, reason: $0.reason, errorClass: $0.errorClass,
                    origin: $0.origin.description, eventType: $0.eventType)
            }
        }
    }

    /// A letter for `export`. The record's bytes are always in base64, so they can be restored exactly.
    struct Export: Encodable {
        struct Header: Encodable {
            let name: String
            let valueBase64: String?
        }

        let letter: Summary
        let originAt: String?
        let eventId: String?
        let stage: String?
        let firstErrorClass: String
        let firstMessage: String
        let delivery: Int32
        let keyBase64: String?
        let valueBase64: String?
        let isValueWithConsumer: Bool
        let headers: [Header]

        init(_ letter: DeadLetterStore.Letter) {
            self.letter = Summary(letter.summary)
            originAt = letter.originAt?.description
            eventId = letter.eventID?.description
            stage = letter.stage
            firstErrorClass = letter.firstErrorClass
            firstMessage = letter.firstMessage
            delivery = letter.delivery
            keyBase64 = letter.key.map { Data($0).base64EncodedString() }
            valueBase64 = letter.value.map { Data($0).base64EncodedString() }
            isValueWithConsumer = letter.isValueWithConsumer
            headers = letter.headers.map {
                Header(name: $0.name, valueBase64: $0.value.map { Data($0).base64EncodedString() })
            }
        }
    }
}
