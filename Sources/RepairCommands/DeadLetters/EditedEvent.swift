internal import CommandSupport
internal import DeadLetters
internal import Events
internal import StreamCore
internal import WireJSON

/// A corrected value: an event with a new id that refers to the event that it replaces.
struct EditedEvent {
    let value: [UInt8]
    let eventID: EventID

    /// - Parameter value: stored unchanged. The new id need not be in the value.
    init(unchecked value: [UInt8]) {
        self.value = value
        eventID = Self.newID()
    }

    /// - Parameters:
    ///   - given: an event as JSON. It may lack `eventId`.
    ///   - letter: the letter whose value it replaces.
    ///   - codec: checks the event for the letter's consumer.
    ///   - eventID: the new id.
    /// - Throws: ``CommandFailure`` if the consumer would not accept the event, or it belongs to another key.
    init(
        _ given: [UInt8], replacing letter: DeadLetterStore.Letter, as codec: EventCodec,
        eventID: EventID = Self.newID()
    ) throws {
        self.eventID = eventID
        value = try Self.rewritten(given, eventID, original: letter.eventID)
        let decoded: EventCodec.Decoded
        do throws(EventDecodeError) {
            decoded = try codec.decode(value.span)
        } catch {
            throw Self.failure("the value is not a valid event: \(error)")
        }
        let identity: EventIdentity
        switch decoded {
        case .event(let event): identity = event
        case .unknownType(let name):
            throw Self.failure("the value is not a valid event: the eventType \(TextFormat.text(name)) is unknown")
        }
        if let key = letter.key, Array(identity.aggregateID.utf8) != key {
            throw Self.failure(
                """
                the value's aggregateId \(TextFormat.text(identity.aggregateID)) is not the letter's key \
                \(TextFormat.printable(key)), so the order of the key would be lost
                """)
        }
    }

    private static func failure(_ message: String) -> CommandFailure {
        CommandFailure("\(message). --no-check stores it unchanged.", .wrongData)
    }

    /// The object with only the two members changed. Numbers keep their digits, and members keep their order.
    private static func rewritten(_ given: [UInt8], _ eventID: EventID, original: EventID?) throws -> [UInt8] {
        do throws(JSONError) {
            var json = try JSONReader(given.span)
            var writer = JSONWriter()
            var replaced = original
            var members: [(name: String, value: Range<Int>)] = []
            try json.enterObject()
            while let key = try json.nextKey() {
                let name = try json.string(of: key)
                if name == "eventId", replaced == nil, try json.peek() == .string {
                    let text = try json.readText()
                    replaced = EventID(try json.string(of: text))
                    continue
                }
                members.append((name, try json.skipValue()))
            }
            try json.finish()
            writer.beginObject()
            writer.key("eventId")
            writer.string(eventID)
            for (name, value) in members where name != "eventId" && !(name == "causationId" && replaced != nil) {
                writer.key(name)
                writer.raw(json.span(of: value))
            }
            if let replaced {
                writer.key("causationId")
                writer.string(replaced)
            }
            writer.endObject()
            return writer.finish()
        } catch {
            throw failure("the value is not a valid event: \(error)")
        }
    }

    /// A random UUID, version 4 of RFC 9562.
    private static func newID() -> EventID {
        EventID(
            high: UInt64.random(in: 0 ... .max) & ~0xF000 | 0x4000,
            low: UInt64.random(in: 0 ... .max) & ~(0b11 << 62) | 0b10 << 62)
    }
}
