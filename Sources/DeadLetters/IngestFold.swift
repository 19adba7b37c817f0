/// Groups a batch of notices by letter in the order of their arrival. Several notices about one letter are applied one
/// after the other before anything is written.
struct IngestFold {
    struct Entry {
        let name: LetterName
        var notices: [LetterNotice]

        /// Whether the notice answers a delivery of the handler.
        var isAnswer: Bool {
            notices.contains { notice in
                switch notice {
                case .letter(let letter): letter.delivery > 1
                case .resolved, .discarded: true
                case .breaker: false
                }
            }
        }
    }

    /// Letters in the order of their first notice.
    private(set) var entries: [Entry] = []
    private(set) var breakers: [LetterNotice] = []
    private var places: [LetterName: Int] = [:]

    init(_ notices: [LetterNotice]) {
        for notice in notices {
            switch notice {
            case .letter(let letter): add(notice, letter.name)
            case .resolved(let name, _), .discarded(let name, _, _): add(notice, name)
            case .breaker: breakers.append(notice)
            }
        }
    }

    private mutating func add(_ notice: LetterNotice, _ name: LetterName) {
        if let place = places[name] {
            entries[place].notices.append(notice)
        } else {
            places[name] = entries.count
            entries.append(Entry(name: name, notices: [notice]))
        }
    }
}

/// The state of a letter after a batch, and the changes to write.
struct ChangedLetter {
    let name: LetterName
    /// nil while the letter has no row.
    var letterID: Int64?
    var life: LetterLife
    /// The record that creates the row of a new letter.
    var first: Letter?

    /// The first letter with an unknown name creates it. Answers before it concern a letter that no longer exists or
    /// never belonged to this handler.
    init?(
        new entry: IngestFold.Entry, policies: RetryPolicies, using random: inout some RandomNumberGenerator
    ) {
        var rest = entry.notices[...]
        while let notice = rest.popFirst() {
            guard case .letter(let letter) = notice else { continue }
            var life = LetterLife(letter, policies: policies, using: &random)
            for notice in rest { life.receive(notice, policies: policies, using: &random) }
            name = entry.name
            self.life = life
            first = letter
            return
        }
        return nil
    }

    init(_ name: LetterName, letterID: Int64, life: LetterLife) {
        self.name = name
        self.letterID = letterID
        self.life = life
    }

    mutating func receive(
        _ entry: IngestFold.Entry, policies: RetryPolicies, using random: inout some RandomNumberGenerator
    ) {
        for notice in entry.notices { life.receive(notice, policies: policies, using: &random) }
    }
}
