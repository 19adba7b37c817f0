internal import StreamCore
internal import WireJSON

/// The sections of a dashboard. Each section changes independently, and is sent when it changes.
enum DashboardSection: Int, CaseIterable, Sendable {
    case series, totals, statuses, topProducts, durations, latestOrders, pipeline

    var key: String { "\(self)" }
}

/// A dashboard at one moment. It contains the JSON of each section.
struct DashboardDocument: Sendable {
    let window: DashboardWindow
    var asOf: Timestamp?
    var from: Timestamp
    var to: Timestamp
    /// The JSON of each section, by raw value. A section that is not known yet is `null`.
    private(set) var sections: [[UInt8]]

    init(window: DashboardWindow, at now: Timestamp) {
        self.window = window
        (from, to) = window.span(at: now)
        sections = DashboardSection.allCases.map { _ in Array("null".utf8) }
    }

    subscript(section: DashboardSection) -> [UInt8] {
        get { sections[section.rawValue] }
        set { sections[section.rawValue] = newValue }
    }

    /// The sections that differ from an earlier document.
    func changes(since before: DashboardDocument) -> [DashboardSection] {
        DashboardSection.allCases.filter { self[$0] != before[$0] }
    }

    /// The JSON of the whole dashboard.
    func json() -> [UInt8] { json(of: DashboardSection.allCases) }

    /// The JSON of these sections, with the members that every message contains.
    func json(of sections: [DashboardSection]) -> [UInt8] {
        var writer = JSONWriter(capacity: sections.reduce(256) { $0 + self[$1].count + 24 })
        writer.beginObject()
        writer.key("asOf")
        if let asOf { writer.string(asOf) } else { writer.null() }
        writer.key("window")
        writer.string(window.rawValue)
        writer.key("resolution")
        writer.string(window.resolution)
        writer.key("from")
        writer.string(from)
        writer.key("to")
        writer.string(to)
        for section in sections {
            writer.key(section.key)
            writer.raw(self[section].span)
        }
        writer.endObject()
        return writer.finish()
    }
}
