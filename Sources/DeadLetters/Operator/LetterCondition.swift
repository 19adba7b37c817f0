internal import Postgres
internal import StreamCore

/// The condition that a filter or a selection is in SQL, over `dead_letters AS l`, with its parameters.
///
/// The text is made for the case at hand rather than once for all cases with `$1 IS NULL OR …`: only so the planner
/// sees which index fits.
struct LetterCondition {
    private(set) var terms: [String] = []
    private(set) var parameters = Parameters()

    /// The terms as one; `true` when there are none.
    var sql: String { terms.isEmpty ? "true" : terms.joined(separator: " AND ") }

    init() {}

    init(_ selection: DeadLetterStore.Selection) {
        switch selection {
        case .letters(let ids):
            self.init()
            add(letters: ids)
        case .group(let name):
            var filter = DeadLetterStore.Filter()
            filter.consumer = name.consumer
            filter.errorClass = name.errorClass
            filter.fingerprint = name.fingerprint
            self.init(filter)
        case .matching(let filter): self.init(filter)
        }
    }

    init(_ filter: DeadLetterStore.Filter) {
        addGroup(of: filter)
        if !filter.states.isEmpty { add(states: filter.states) }
        addContent(of: filter)
    }

    /// Consumer, class and fingerprint: what a group's name has, too.
    mutating func addGroup(of filter: DeadLetterStore.Filter, table: String = "l") {
        if let consumer = filter.consumer { terms.append("\(table).consumer = \(next { $0.append(consumer) })") }
        if let name = filter.errorClass { terms.append("\(table).error_class = \(next { $0.append(name) })") }
        if let digits = filter.fingerprint {
            let whole = digits.utf8.count >= 16
            let place = next { $0.append(digits) }
            terms.append(whole ? "\(table).fingerprint = \(place)" : "starts_with(\(table).fingerprint, \(place))")
        }
    }

    /// Key and age: what only the letter itself has.
    mutating func addContent(of filter: DeadLetterStore.Filter) {
        if let key = filter.key {
            let place = next { $0.append(key) }
            // The index holds a key's beginning, for a key may be longer than an index takes.
            terms.append("substring(l.key FROM 1 FOR 64) = substring(\(place) FROM 1 FOR 64) AND l.key = \(place)")
        }
        addAge(of: filter)
    }

    /// Letters are numbered as they come: where a time stands in the numbers is looked up first, with a minute to spare
    /// for clocks and for letters that came side by side. Else a list would pass all letters that are too young.
    private mutating func addAge(of filter: DeadLetterStore.Filter) {
        func limit(_ age: Duration) -> String {
            "now() - make_interval(secs => \(next { $0.append(age / .seconds(1)) }))"
        }
        if let age = filter.olderThan {
            let limit = limit(age)
            terms.append(
                """
                l.created_at < \(limit) AND l.letter_id < coalesce((SELECT letter_id FROM dead_letters
                    WHERE created_at >= \(limit) + interval '1 minute' ORDER BY created_at LIMIT 1), \(Int64.max))
                """)
        }
        if let age = filter.newerThan {
            let limit = limit(age)
            terms.append(
                """
                l.created_at >= \(limit) AND l.letter_id > coalesce((SELECT letter_id FROM dead_letters
                    WHERE created_at < \(limit) - interval '1 minute' ORDER BY created_at DESC LIMIT 1), 0)
                """)
        }
    }

    mutating func add(states: Set<DeadLetterStore.State>) {
        // Literals of ours: a partial index is used only where the state stands in the text.
        let names = states.map { "'\($0.rawValue)'" }.sorted().joined(separator: ", ")
        terms.append("l.state IN (\(names))")
    }

    private mutating func add(letters ids: [Int64]) {
        var column = Int64Array()
        for id in ids { column.append(id) }
        terms.append("l.letter_id = ANY(\(next { $0.append(column) }))")
    }

    mutating func add(_ term: String) { terms.append(term) }

    /// Adds a parameter.
    ///
    /// - Returns: its place, `$1`, `$2`, …
    mutating func next(_ append: (inout Parameters) -> Void) -> String {
        append(&parameters)
        return "$\(parameters.count)"
    }
}
