public import Commands
internal import Events
public import Orders
public import Postgres
internal import StreamCore

/// Stores shipments in the shop's table `shipments`. A shipment has the tenant of its order.
public struct ShipmentTables: Repository {
    public init() {}

    // MARK: reading

    public func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        var parameters = Parameters()
        parameters.append(keys)
        return [(locking ? Self.lock : Self.read, parameters)]
    }

    /// A single statement is enough, because it returns the current row after it has waited for a lock. The order's
    /// tenant never changes.
    private static let lock: Statement = """
        SELECT s.shipment_id, o.tenant_id, s.order_id, s.carrier, s.tracking_number, s.version, s.created_at,
            s.created_event_id, s.delivered_at, s.delivered_event_id
        FROM shipments AS s JOIN orders AS o ON o.order_id = s.order_id
        WHERE s.shipment_id = ANY($1) ORDER BY s.shipment_id FOR UPDATE OF s
        """

    private static let read: Statement = """
        SELECT s.shipment_id, o.tenant_id, s.order_id, s.carrier, s.tracking_number, s.version, s.created_at,
            s.created_event_id, s.delivered_at, s.delivered_event_id
        FROM shipments AS s JOIN orders AS o ON o.order_id = s.order_id
        WHERE s.shipment_id = ANY($1)
        """

    public func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<ShipmentState>] {
        guard let rows = results.last else { return [:] }
        var found: [String: Loaded<ShipmentState>] = [:]
        for row in 0..<rows.rowCount {
            let parcel = ShipmentCreated(
                orderID: try rows.string(row, 2), carrier: try rows.string(row, 3),
                trackingNumber: try rows.string(row, 4))
            var state = ShipmentState(
                tenantID: try rows.optionalString(row, 1), parcel: parcel,
                created: EventMoment(at: try rows.timestamp(row, 6), eventID: try rows.eventID(row, 7)))
            if let at = try rows.optionalTimestamp(row, 8) {
                state.delivered = EventMoment(at: at, eventID: try rows.eventID(row, 9))
            }
            found[try rows.string(row, 0)] = Loaded(
                state, version: try rows.int64(row, 5), lastEventAt: state.last.at)
        }
        return found
    }

    // MARK: writing

    public func writes(_ changes: [Change<ShipmentDecider>]) -> [(Statement, Parameters)] {
        var created = ShipmentRows(), delivered = ShipmentRows()
        for change in changes {
            if let before = change.before {
                delivered.append(change.id, change.after, expected: before.version)
            } else {
                created.append(change.id, change.after, expected: 0)
            }
        }
        return created.insertion + delivered.delivery
    }
}

/// New rows of `shipments`, or deliveries of existing ones.
private struct ShipmentRows {
    private var ids = TextArray(), orderIDs = TextArray(), carriers = TextArray(), trackingNumbers = TextArray()
    private var versions = Int64Array(), expected = Int64Array()
    private var createdAt = TimestampArray(), createdIDs = UUIDArray()
    private var deliveredAt = TimestampArray(), deliveredIDs = UUIDArray()
    private var statuses = TextArray(), updatedAt = TimestampArray(), eventIDs = UUIDArray()

    mutating func append(_ id: String, _ shipment: Loaded<ShipmentState>, expected version: Int64) {
        let state = shipment.state
        ids.append(id)
        orderIDs.append(state.parcel.orderID)
        carriers.append(state.parcel.carrier)
        trackingNumbers.append(state.parcel.trackingNumber)
        versions.append(shipment.version)
        expected.append(version)
        createdAt.append(state.created.at)
        createdIDs.append(state.created.eventID)
        deliveredAt.append(state.delivered?.at)
        deliveredIDs.append(state.delivered?.eventID)
        statuses.append(state.status)
        updatedAt.append(state.last.at)
        eventIDs.append(state.last.eventID)
    }

    /// Empty if there are none.
    var insertion: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(orderIDs)
        parameters.append(statuses)
        parameters.append(carriers)
        parameters.append(trackingNumbers)
        parameters.append(versions)
        parameters.append(createdAt)
        parameters.append(createdIDs)
        parameters.append(deliveredAt)
        parameters.append(deliveredIDs)
        parameters.append(updatedAt)
        parameters.append(eventIDs)
        return [(Self.insertionStatement, parameters)]
    }

    /// A parcel may be created and delivered in the same transaction.
    private static let insertionStatement: Statement = """
        INSERT INTO shipments (shipment_id, order_id, status, carrier, tracking_number, version, created_at,
            created_event_id, delivered_at, delivered_event_id, updated_at, last_event_id)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """

    /// Empty if there are none.
    var delivery: [(Statement, Parameters)] {
        if ids.count == 0 { return [] }
        var parameters = Parameters()
        parameters.append(ids)
        parameters.append(versions)
        parameters.append(expected)
        parameters.append(deliveredAt)
        parameters.append(deliveredIDs)
        parameters.append(Int64(ids.count))
        return [(Self.deliveryStatement, parameters)]
    }

    private static let deliveryStatement: Statement = """
        WITH changed AS (
            UPDATE shipments AS s SET
                status = 'delivered', version = u.version, delivered_at = u.at, delivered_event_id = u.event_id,
                updated_at = u.at, last_event_id = u.event_id
            FROM unnest($1, $2, $3, $4, $5) AS u(shipment_id, version, expected, at, event_id)
            WHERE s.shipment_id = u.shipment_id AND s.version = u.expected
            RETURNING 1
        )
        SELECT commands_expect((SELECT count(*) FROM changed), $6, 'a shipment')
        """
}
