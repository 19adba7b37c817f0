extension LagReport {
    /// The time behind, in seconds, from which a consumer has a problem although it makes progress. The alert
    /// `MillraceProjectionLag` has the same limit.
    static let limitSeconds: Double = 60

    /// One finding for each consumer and version.
    public var findings: [Finding] {
        if rows.isEmpty { return [Finding(.note, "no projection has an offset", check: "lag")] }
        let groups = Dictionary(grouping: rows) { "\($0.consumer)\($0.version.map { " v\($0)" } ?? "")" }
        return groups.sorted { $0.key < $1.key }.map { name, rows in
            var finding = LagReport(rows: rows).finding(of: rows[0].consumer)
            finding.check = name
            return finding
        }
    }

    /// - Parameter consumer: the consumer of all rows.
    private func finding(of consumer: String) -> Finding {
        let removed = rows.reduce(0) { $0 + $1.removedUnread }
        if removed > 0 { return Finding(.critical, "\(removed) offsets were removed before they were read") }
        let unknown = rows.count { $0.state == nil }
        if unknown > 0 { return Finding(.warning, "\(unknown) partitions do not exist in Kafka") }
        if state == .paused {
            return Finding(.warning, "paused: \(behind)", remedy: "millrace resume \(consumer)")
        }
        // No reader uses the version yet, so an operator need not be alerted.
        if rows.contains(where: \.isBuilding) { return findingOfBuilding(consumer) }
        switch state {
        case .stop: return Finding(.critical, "does not run: \(behind)", remedy: "start it")
        case .stall: return Finding(.critical, "no progress: \(behind)", remedy: "millrace lag")
        case .warn: return Finding(.warning, "lag grows: \(behind)", remedy: "millrace lag --watch")
        case .ok, .paused: break
        }
        if maxSecondsBehind > Self.limitSeconds {
            return Finding(.warning, "\(behind)\(prospect)", remedy: "millrace lag --watch")
        }
        return Finding(.ok, behind)
    }

    private func findingOfBuilding(_ consumer: String) -> Finding {
        if state < .stall { return Finding(.note, "is being built: \(behind)\(prospect)") }
        return Finding(
            .warning, "is being built, and makes no progress: \(behind)",
            remedy: "start the rebuild again, or drop the version: millrace rebuild abort \(consumer)")
    }

    private var behind: String {
        let isAgeKnown = rows.allSatisfy { $0.secondsBehind != nil }
        return "\(totalLag) behind, "
            + (isAgeKnown ? "\(Age.text(seconds: Int64(maxSecondsBehind))) at most" : "for an unknown time")
    }

    /// How the lag changes; empty after the first reading.
    private var prospect: String {
        let late = rows.filter { $0.lag ?? 0 > 0 }
        guard !late.isEmpty, late.allSatisfy({ $0.readPerSecond != nil }) else { return "" }
        let times = late.compactMap(\.secondsToCatchUp)
        guard times.count == late.count, let longest = times.max() else { return ", and does not catch up now" }
        return ", caught up in \(Age.text(seconds: Int64(min(longest, 1e9))))"
    }
}
