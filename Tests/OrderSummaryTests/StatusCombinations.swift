import Orders
import StreamCore

/// Orders in every combination of facts that the statuses depend on.
enum StatusCombinations {
    /// How a second fact stands to the first: there is none, or it is of the same or another aggregate, and earlier,
    /// at the same instant or later.
    private enum Second: CaseIterable {
        case none, sameEarlier, sameAtOnce, sameLater, otherEarlier, otherAtOnce, otherLater

        var isSame: Bool { self == .sameEarlier || self == .sameAtOnce || self == .sameLater }

        var seconds: Int64 {
            switch self {
            case .none, .sameEarlier, .otherEarlier: 9
            case .sameAtOnce, .otherAtOnce: 10
            case .sameLater, .otherLater: 11
            }
        }
    }

    static func all() -> [OrderEvent] {
        var events: [OrderEvent] = []
        let booleans = [false, true]
        for created in booleans {
            for confirmed in booleans {
                for cancelled in booleans {
                    for failed in booleans { events += facets(created, confirmed, cancelled, failed) }
                }
            }
        }
        return events
    }

    private static func facets(
        _ created: Bool, _ confirmed: Bool, _ cancelled: Bool, _ failed: Bool
    ) -> [OrderEvent] {
        var events: [OrderEvent] = []
        for paid in [false, true] {
            for refund in Second.allCases {
                for shipped in [false, true] {
                    for delivery in Second.allCases {
                        let id =
                            "\(created) \(confirmed) \(cancelled) \(failed) \(paid) \(refund) \(shipped) \(delivery)"
                        var life = Lifecycle(orderID: id, seed: 1)
                        if created { life.tell(life.created([Lifecycle.line("a", 1, "1")]), at: 0) }
                        if confirmed { life.tell(.orderConfirmed, at: 1) }
                        if cancelled {
                            life.tell(.orderCancelled(OrderCancelled(reason: "r", cancelledBy: "c")), at: 2)
                        }
                        if failed { life.tell(life.failed("declined"), of: "pay-0", at: 3) }
                        if paid { life.tell(life.completed("1"), of: "pay-1", at: 10) }
                        if refund != .none {
                            life.tell(life.refunded("r"), of: refund.isSame ? "pay-1" : "pay-2", at: refund.seconds)
                        }
                        if shipped { life.tell(life.shipped("DHL"), of: "ship-1", at: 10) }
                        if delivery != .none {
                            life.tell(
                                life.delivered, of: delivery.isSame ? "ship-1" : "ship-2", at: delivery.seconds)
                        }
                        events += life.events
                    }
                }
            }
        }
        return events
    }
}
