internal import Events
internal import Orders
internal import Postgres
internal import StreamCore

/// The parameters of the statements that change counters: one statement for each table with changes, with rows ordered
/// by their keys.
extension CounterChanges {
    /// - Parameter lane: the lane of the transaction.
    func statements(lane: Int16) throws(DecimalOverflow) -> [(Statement, Parameters)] {
        [
            try counterRows(lane), statusRows(lane), productRows(lane), customerRows(lane), durationRows(lane),
        ].compactMap { $0 }
    }

    private func counterRows(_ lane: Int16) throws(DecimalOverflow) -> (Statement, Parameters)? {
        var (resolutions, buckets, currencies) = (TextArray(), TimestampArray(), TextArray())
        var counts = [Int64Array](repeating: Int64Array(), count: Tally().counts.scalarCount)
        var (revenue, refunds) = (NumericArray(), NumericArray())
        let minutes = minutes.sorted { $0.key < $1.key }
        for bucket in Bucket.allCases {
            for (key, tally) in try Self.tallies(minutes, by: bucket) {
                resolutions.append(bucket.rawValue)
                buckets.append(Timestamp(microseconds: key.start))
                currencies.append(key.currency.code)
                for index in counts.indices { counts[index].append(tally.counts[index]) }
                revenue.append(Numeric(tally.revenue))
                refunds.append(Numeric(tally.refunds))
            }
        }
        if resolutions.count == 0 { return nil }
        let parameters = Parameters {
            $0.append(lane)
            $0.append(resolutions)
            $0.append(buckets)
            $0.append(currencies)
            for column in counts { $0.append(column) }
            $0.append(revenue)
            $0.append(refunds)
        }
        return (DashboardStatements.addCounters, parameters)
    }

    /// Adds up minutes, which must be sorted, to larger buckets, and removes buckets without a change.
    private static func tallies(
        _ minutes: [(key: BucketKey, value: Tally)], by bucket: Bucket
    ) throws(DecimalOverflow) -> [(key: BucketKey, value: Tally)] {
        var sums: [(key: BucketKey, value: Tally)] = []
        for (minute, tally) in minutes {
            let start = bucket.start(of: Timestamp(microseconds: minute.start))
            let key = BucketKey(currency: minute.currency, start: start)
            if sums.last?.key == key {
                try sums[sums.count - 1].value.add(tally)
            } else {
                sums.append((key, tally))
            }
        }
        return sums.filter { !$0.value.isNothing }
    }

    private func statusRows(_ lane: Int16) -> (Statement, Parameters)? {
        var (names, orders) = (TextArray(), Int64Array())
        let changed = statuses.filter { $0.value != 0 }.sorted { $0.key.rawValue < $1.key.rawValue }
        if changed.isEmpty { return nil }
        for (status, count) in changed {
            names.append(status.rawValue)
            orders.append(count)
        }
        let parameters = Parameters {
            $0.append(lane)
            $0.append(names)
            $0.append(orders)
        }
        return (DashboardStatements.addStatuses, parameters)
    }

    private func productRows(_ lane: Int16) -> (Statement, Parameters)? {
        let changed = products.filter { $0.value.units != 0 || $0.value.revenue != .zero }.sorted {
            ($0.key.day, $0.key.currency, $0.key.productID) < ($1.key.day, $1.key.currency, $1.key.productID)
        }
        if changed.isEmpty { return nil }
        var (days, currencies, ids) = (DateArray(), TextArray(), TextArray())
        var (names, units, revenue) = (TextArray(), Int64Array(), NumericArray())
        for (key, product) in changed {
            days.append(day: key.day)
            currencies.append(key.currency.code)
            ids.append(key.productID.text)
            names.append(product.name)
            units.append(product.units)
            revenue.append(Numeric(product.revenue))
        }
        let parameters = Parameters {
            $0.append(lane)
            $0.append(days)
            $0.append(currencies)
            $0.append(ids)
            $0.append(names)
            $0.append(units)
            $0.append(revenue)
        }
        return (DashboardStatements.addProducts, parameters)
    }

    private func customerRows(_ lane: Int16) -> (Statement, Parameters)? {
        let changed = customers.filter { !$0.value.isNothing }.sorted {
            let order = ExactText.compare($0.key.customerID.text, $1.key.customerID.text)
            return order == 0 ? $0.key.currency < $1.key.currency : order < 0
        }
        if changed.isEmpty { return nil }
        var (ids, currencies, orders, cancelled) = (TextArray(), TextArray(), Int64Array(), Int64Array())
        var (spent, refunded, last) = (NumericArray(), NumericArray(), TimestampArray())
        for (key, customer) in changed {
            ids.append(key.customerID.text)
            currencies.append(key.currency.code)
            orders.append(customer.orders)
            cancelled.append(customer.cancelled)
            spent.append(Numeric(customer.spent))
            refunded.append(Numeric(customer.refunded))
            last.append(customer.lastOrderAt)
        }
        let parameters = Parameters {
            $0.append(lane)
            $0.append(ids)
            $0.append(currencies)
            $0.append(orders)
            $0.append(cancelled)
            $0.append(spent)
            $0.append(refunded)
            $0.append(last)
        }
        return (DashboardStatements.addCustomers, parameters)
    }

    private func durationRows(_ lane: Int16) -> (Statement, Parameters)? {
        let changed = durations.filter { $0.value != 0 }.sorted {
            ($0.key.day, $0.key.step.rawValue, $0.key.bin.atLeastMs)
                < ($1.key.day, $1.key.step.rawValue, $1.key.bin.atLeastMs)
        }
        if changed.isEmpty { return nil }
        var (days, steps, from, below) = (DateArray(), TextArray(), Int64Array(), Int64Array())
        var orders = Int64Array()
        for (key, count) in changed {
            days.append(day: key.day)
            steps.append(key.step.rawValue)
            from.append(key.bin.atLeastMs)
            below.append(key.bin.belowMs)
            orders.append(count)
        }
        let parameters = Parameters {
            $0.append(lane)
            $0.append(days)
            $0.append(steps)
            $0.append(from)
            $0.append(below)
            $0.append(orders)
        }
        return (DashboardStatements.addDurations, parameters)
    }
}

/// Converts a decimal to `numeric`. The domain does not depend on PostgreSQL, and the client does not depend on the
/// domain.
struct Numeric: PostgresDecimal {
    let coefficient: Int128
    let scale: Int

    init(_ amount: DecimalAmount) {
        coefficient = amount.coefficient
        scale = amount.scale
    }
}
