public import Events
public import Kafka
internal import StreamCore

/// A projection of one domain's events in Millrace's envelope: it need not say how a record is read.
///
/// A record without a value and an event type that the domain does not know are skipped, and counted. What is no event
/// becomes a dead letter of the decode error's class.
public protocol EventProjection: Projection where Event == Events.Event<Payload> {
    /// The domain's events.
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
        // The value need not be readable; the relay says whose it is in a header as well.
        let eventID = record.header(named: "event-id")?.value.flatMap { EventID(utf8: $0.span) }
        self.init(error.errorClass.rawValue, "\(error.path): \(error.detail)", eventID: eventID)
    }
}
