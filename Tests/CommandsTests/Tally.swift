import Commands
import Events
import Postgres
import StreamCore
import WireJSON

// A minimal domain: numbers are added to tallies, and a tally is never below zero.

enum TallyKind: String, AggregateKind {
    case tally = "Tally"
}

enum TallyEventType: String, EventType {
    case added = "Added"
    var aggregateType: TallyKind { .tally }
}

struct Added: EventPayload {
    let number: Int64
    var type: TallyEventType { .added }

    static func decode(_ type: TallyEventType, _ fields: inout FieldReader) throws(DecodeProblem) -> Added {
        var number: Int64?
        let start = try fields.enterObject()
        while let key = try fields.nextKey() {
            if fields.matches(key, "number") { number = try fields.integer() } else { try fields.skip() }
        }
        return Added(number: try FieldReader.required(number, "number", in: start))
    }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("number", number)
        writer.endObject()
    }
}

enum TallyRule: String, Rule {
    case belowZero = "below-zero"
    var kind: RuleKind { .conflict }
    var summary: String { "A tally is not negative." }
}

struct TallyState: SnapshotState, Hashable, Sendable {
    var total: Int64
    static let snapshotFormat: Int32 = 7

    init(total: Int64) {
        self.total = total
    }

    init(fromSnapshot fields: inout FieldReader) throws(DecodeProblem) {
        total = try fields.integer()
    }

    func write(to writer: inout JSONWriter) { writer.number(total) }
}

enum TallyDecider: Decider {
    typealias State = TallyState
    typealias Command = Int64
    typealias Payload = Added
    typealias Rules = TallyRule
    typealias Facts = Void
    static let kind = TallyKind.tally

    static func decide(
        _ number: Int64, _ state: TallyState?, _: Void
    ) throws(Rejection<TallyRule>) -> [Added] {
        if (state?.total ?? 0) + number < 0 { throw Rejection(.belowZero) }
        return [Added(number: number)]
    }

    static func evolve(_ state: TallyState?, _ event: Event<Added>) -> TallyState? {
        TallyState(total: (state?.total ?? 0) + event.payload.number)
    }
}

struct Add: Command {
    static let name = "Add"
    let tally: String
    let number: Int64
}

/// Moves a number from one tally to another.
struct Move: Command {
    static let name = "Move"
    let source: String
    let target: String
    let number: Int64
}

enum TallyCommands {
    static let handlers: [CommandHandler] = [
        CommandHandler(Add.self, on: [TallyDecider.self]) { command, plan in
            plan.aggregate(TallyDecider.self, command.tally)
        } handle: { (command, scope) throws(Refusal) in
            try scope.decide(TallyDecider.self, command.tally, command.number)
            return result(command.tally, scope)
        },
        // The addition comes first, so that a refusal has something to undo.
        CommandHandler(Move.self, on: [TallyDecider.self]) { command, plan in
            plan.aggregate(TallyDecider.self, command.source)
            plan.aggregate(TallyDecider.self, command.target)
        } handle: { (command, scope) throws(Refusal) in
            try scope.decide(TallyDecider.self, command.target, command.number)
            try scope.decide(TallyDecider.self, command.source, -command.number)
            return result(command.source, scope)
        },
    ]

    private static func result(_ id: String, _ scope: CommandScope) -> CommandResult {
        scope.result(TallyDecider.self, id) { Array("\($0.state.total)".utf8) }
    }
}

/// Stores tallies in a table of their state.
struct TallyTable: Repository {
    /// Whether reads lock the rows. Without locks, only the versions protect the rows.
    var locks = true

    static let schema = """
        CREATE TABLE tallies (id text PRIMARY KEY, total bigint NOT NULL CHECK (total <> 666), version bigint NOT NULL,
            at timestamptz NOT NULL)
        """

    func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        var parameters = Parameters()
        parameters.append(keys)
        let text = "SELECT id, total, version, at FROM tallies WHERE id = ANY($1) ORDER BY id"
        return [(Statement(locking && locks ? text + " FOR UPDATE" : text), parameters)]
    }

    func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<TallyState>] {
        guard let rows = results.last else { return [:] }
        var found: [String: Loaded<TallyState>] = [:]
        for row in 0..<rows.rowCount {
            found[try rows.string(row, 0)] = Loaded(
                TallyState(total: try rows.int64(row, 1)), version: try rows.int64(row, 2),
                lastEventAt: try rows.timestamp(row, 3))
        }
        return found
    }

    func writes(_ changes: [Change<TallyDecider>]) -> [(Statement, Parameters)] {
        changes.map { change in
            var parameters = Parameters()
            parameters.append(change.id)
            parameters.append(change.after.state.total)
            parameters.append(change.after.version)
            parameters.append(change.after.lastEventAt)
            guard let before = change.before else {
                return ("INSERT INTO tallies (id, total, version, at) VALUES ($1, $2, $3, $4)", parameters)
            }
            parameters.append(before.version)
            return (
                """
                WITH changed AS (
                    UPDATE tallies SET total = $2, version = $3, at = $4 WHERE id = $1 AND version = $5 RETURNING 1)
                SELECT commands_expect((SELECT count(*) FROM changed), 1, 'a tally')
                """, parameters
            )
        }
    }
}
