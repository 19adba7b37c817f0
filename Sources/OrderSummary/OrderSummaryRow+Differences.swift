internal import Events
internal import Orders

extension OrderSummaryRow {
    /// The names of the parts that differ from `other`. Event ids are not compared, because the write model, from which
    /// the expected rows are built, does not have them.
    public func differences(from other: OrderSummaryRow) -> [String] {
        var names: [String] = []
        func compare(_ name: String, _ isEqual: Bool) {
            if !isEqual { names.append(name) }
        }
        compare("version", version == other.version)
        compare("updated_at", updatedAt == other.updatedAt)
        compare("confirmed_at", confirmedAt == other.confirmedAt)
        compare("items", items == other.items)
        compare("created", Self.isEqual(created, other.created))
        compare("cancelled", Self.isEqual(cancelled, other.cancelled))
        compare("paid", Self.isEqual(paid, other.paid))
        compare("failed", Self.isEqual(failed, other.failed))
        compare("refunded", Self.isEqual(refunded, other.refunded))
        compare("shipped", Self.isEqual(shipped, other.shipped))
        compare("delivered", Self.isEqual(delivered, other.delivered))
        return names
    }

    private static func isEqual<Fact>(_ left: Register<Fact>?, _ right: Register<Fact>?) -> Bool {
        left?.at == right?.at && left?.fact == right?.fact
    }
}
