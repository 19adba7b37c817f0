internal import OrderShop

/// The line that `millrace dev` shows once a second. This is a pure value that computes rates from two snapshots.
struct StatusLine {
    private var last: (snapshot: DevSnapshot, seconds: Double)?

    /// - Parameters:
    ///   - snapshot: the numbers of events; nil if a server did not answer.
    ///   - totals: the totals of the load; nil without a load.
    ///   - restarts: the number of restarts of daemons.
    ///   - seconds: the time since the session's start.
    mutating func text(
        _ snapshot: DevSnapshot?, totals: ShopLoad.Totals?, restarts: Int, seconds: Double
    ) -> String {
        var parts = [Self.clock(seconds)]
        if let totals { parts.append("orders \(totals.orders)") }
        if let snapshot {
            let elapsed = last.map { seconds - $0.seconds } ?? 0
            parts.append("outbox \(snapshot.backlog)")
            parts.append("published \(Self.rate(from: last?.snapshot.published, to: snapshot.published, elapsed))/s")
            parts.append("projected \(Self.rate(from: last?.snapshot.projected, to: snapshot.projected, elapsed))/s")
            parts.append("lag \(snapshot.lag)")
            last = (snapshot, seconds)
        } else {
            parts.append("PostgreSQL or Kafka does not answer")
        }
        if restarts > 0 { parts.append("restarts \(restarts)") }
        return parts.joined(separator: "  ")
    }

    private static func rate(from before: Int64?, to now: Int64, _ elapsed: Double) -> Int64 {
        guard let before, elapsed > 0 else { return 0 }
        return max(0, Int64((Double(now - before) / elapsed).rounded()))
    }

    private static func clock(_ seconds: Double) -> String {
        let whole = Int(seconds)
        let (minutes, rest) = (whole / 60 % 60, whole % 60)
        return "\(whole / 3_600):\(minutes < 10 ? "0" : "")\(minutes):\(rest < 10 ? "0" : "")\(rest)"
    }
}
