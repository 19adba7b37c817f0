public import Events
public import Kafka
internal import StreamCore

/// A projection of one domain's events in Millrace's envelope. Records are decoded by the domain's codec.
///
/// A record without a value or with an event type that the domain does not know is skipped and counted. A record that
/// is not a valid event becomes a dead letter with the class of the decode error.
public protocol EventProjection: Projection where Event == Events.Event<Payload> {
    /// The payloads of the domain.
    associatedtype Payload: EventPayload
}

extension EventProjection {
    public var codec: EventCodec { EventCodec(Payload.self) }

    public var eventTypes: [String] { Payload.Kind.allCases.map(\.rawValue) }

    @inlinable
    public func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<Events.Event<Payload>> {
        guard let value = record.value else { return .skipped(.tombstone) }
        do {
            switch try EventDecoder<Payload>.decode(value) {
            case .event(let event): return .event(event.identity, event)
            case .unknownType: return .skipped(.unknownType)
            }
        } catch {
            throw EventFailure(error, in: record)
        }
    }
}

extension EventFailure {
    @usableFromInline
    init(_ error: EventDecodeError, in record: borrowing RecordView) {
        // The value may be unreadable, but the relay also writes the event id into a header.
        let eventID = record.header(named: "event-id")?.value.flatMap { EventID(utf8: $0.span) }
        self.init(error.errorClass.rawValue, "\(error.path): \(error.detail)", eventID: eventID)
    }
}
