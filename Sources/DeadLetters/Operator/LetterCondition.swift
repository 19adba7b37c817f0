internal import Postgres
internal import StreamCore

/// Converts a filter or a selection to an SQL condition over `dead_letters AS l`, with its parameters.
///
/// The text contains only the necessary terms, instead of `$1 IS NULL OR …` for all of them. Only then the planner
/// finds the suitable index.
struct LetterCondition {
    private(set) var terms: [String] = []
    private(set) var parameters = Parameters()

    /// All terms joined by AND; `true` if there are none.
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

    /// Adds consumer, class and fingerprint, which a group's name has too.
    mutating func addGroup(of filter: DeadLetterStore.Filter, table: String = "l") {
        if let consumer = filter.consumer { terms.append("\(table).consumer = \(next { $0.append(consumer) })") }
        if let name = filter.errorClass { terms.append("\(table).error_class = \(next { $0.append(name) })") }
        if let digits = filter.fingerprint {
            let whole = digits.utf8.count >= 16
            let place = next { $0.append(digits) }
            terms.append(whole ? "\(table).fingerprint = \(place)" : "starts_with(\(table).fingerprint, \(place))")
        }
    }

    /// Adds key and age, which only a letter has.
    mutating func addContent(of filter: DeadLetterStore.Filter) {
        if let key = filter.key {
            let place = next { $0.append(key) }
            // The index contains the beginning of the key, because a key may be longer than an index allows.
            terms.append("substring(l.key FROM 1 FOR 64) = substring(\(place) FROM 1 FOR 64) AND l.key = \(place)")
        }
        addAge(of: filter)
    }

    /// Adds the age. Letters are numbered in the order of their arrival. The statement first finds the number at the
    /// given time, with a minute of tolerance for clocks and concurrent arrivals. Otherwise a list would read all
    /// letters that are too young.
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
        // The states are literals and not parameters, because a partial index is used only if the text contains the
        // state.
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
    /// - Returns: its placeholder: `$1`, `$2`, …
    mutating func next(_ append: (inout Parameters) -> Void) -> String {
        append(&parameters)
        return "$\(parameters.count)"
    }
}
