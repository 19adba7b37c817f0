import Events
import Postgres
import StreamCore
import TestKit
import Testing
import WireJSON

@testable import Commands

/// A state with a column of each type.
private struct NoteState: Hashable, Sendable {
    var tenantID: String?
    var title: String
    var count: Int64
    var price: DecimalAmount
    var tags: [String]
    var dueAt: Timestamp?
    var author: EventID
    var done: EventMoment?
    var last: EventMoment
}

private enum NoteDecider: Decider {
    typealias State = NoteState
    typealias Command = Int64
    typealias Payload = Added
    typealias Rules = TallyRule
    typealias Facts = Void
    static let kind = TallyKind.tally

    static func decide(_: Int64, _: NoteState?, _: Void) throws(Rejection<TallyRule>) -> [Added] { [] }
    static func evolve(_ state: NoteState?, _: Event<Added>) -> NoteState? { state }
}

private struct NoteTable: StateRepository {
    typealias D = NoteDecider

    static let table = StateTable<D>(
        "notes", key: "note_id", noun: "a note", join: "JOIN owners AS o ON o.owner_id = t.owner_id",
        columns: [
            .joined("o.tenant_id"),
            .text("owner_id") { $0.tenantID ?? "nobody" }.constant.derived,
            .text("title") { $0.title }.constant,
            .bigint("count") { $0.count },
            .numeric("price") { $0.price }.read(as: "round(t.price, 1)"),
            .json("tags") { state, json in
                json.beginArray()
                for tag in state.tags { json.string(tag) }
                json.endArray()
            },
            .timestamp("due_at") { $0.dueAt },
            .uuid("author") { $0.author },
            .moment("done_at", "done_id") { $0.done },
            .text("status") { $0.done == nil ? "open" : "done" }.derived,
            .moment("updated_at", "last_event_id") { $0.last },
        ],
        lastEventAt: { $0.last.at }, state: Self.state)

    private static func state(_ row: inout StateRow) throws -> NoteState {
        NoteState(
            tenantID: try row.optionalText(), title: try row.text(), count: try row.bigint(),
            price: try row.numeric(), tags: try row.json(Self.tags), dueAt: try row.optionalTimestamp(),
            author: try row.uuid(), done: try row.optionalMoment(), last: try row.moment())
    }

    private static func tags(_ json: Span<UInt8>) throws -> [String] {
        var fields = try FieldReader(json)
        var tags: [String] = []
        try fields.enterArray()
        while try fields.nextElement() { tags.append(try fields.text()) }
        return tags
    }

    static let schema = """
        CREATE TABLE owners (owner_id text PRIMARY KEY, tenant_id text);
        INSERT INTO owners VALUES ('nobody', NULL), ('ada', 'ada');
        CREATE TABLE notes (note_id text PRIMARY KEY, version bigint NOT NULL, owner_id text NOT NULL REFERENCES owners,
            title text NOT NULL, count bigint NOT NULL, price numeric NOT NULL, tags json NOT NULL, due_at timestamptz,
            author uuid NOT NULL, done_at timestamptz, done_id uuid, status text NOT NULL,
            updated_at timestamptz NOT NULL, last_event_id uuid NOT NULL);
        """
}

@Suite struct StateTableTests {
    private static func moment(_ number: Int64) -> EventMoment {
        EventMoment(
            at: Timestamp(microseconds: 1_700_000_000_000_000 + number),
            eventID: EventID(high: 0x0123_4567_89ab_7def, low: 0x8000_0000_0000_0000 | UInt64(number)))
    }

    private static func note(_ title: String) -> NoteState {
        NoteState(
            tenantID: nil, title: title, count: .max, price: DecimalAmount(coefficient: -15, scale: 1),
            tags: ["a \"b\"", "ü"], dueAt: nil, author: moment(1).eventID, done: nil, last: moment(2))
    }

    private static func change(
        _ id: String, from before: (NoteState, Int64)? = nil, to after: NoteState
    ) -> Change<NoteDecider> {
        let old = before.map { Loaded($0.0, version: $0.1, lastEventAt: $0.0.last.at) }
        let new = Loaded(after, version: (before?.1 ?? 0) + 1, lastEventAt: after.last.at)
        return Change(id: id, before: old, after: new, events: [])
    }

    @Test func theStatementsNameEachColumnOnce() {
        let reads = NoteTable().reads(["a"], locking: false) + NoteTable().reads(["a"], locking: true)
        let select = """
            SELECT t.note_id, t.version, o.tenant_id, t.title, t.count, round(t.price, 1), t.tags, t.due_at, t.author, \
            t.done_at, t.done_id, t.updated_at, t.last_event_id
            FROM notes AS t JOIN owners AS o ON o.owner_id = t.owner_id
            WHERE t.note_id = ANY($1)
            """
        #expect(reads.map(\.0.sql) == [select, select + "\nORDER BY t.note_id FOR UPDATE OF t"])
        let note = Self.note("x")
        let writes = NoteTable().writes([
            Self.change("a", to: note), Self.change("b", from: (note, 1), to: note), Self.change("c", to: note),
        ])
        #expect(
            writes.map(\.0.sql) == [
                """
                INSERT INTO notes (note_id, version, owner_id, title, count, price, tags, due_at, author, done_at, \
                done_id, status, updated_at, last_event_id)
                SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
                """,
                """
                WITH changed AS (
                    UPDATE notes AS t
                    SET version = u.version, count = u.count, price = u.price, tags = u.tags, due_at = u.due_at, \
                author = u.author, done_at = u.done_at, done_id = u.done_id, status = u.status, \
                updated_at = u.updated_at, last_event_id = u.last_event_id
                    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                        AS u(note_id, expected, version, count, price, tags, due_at, author, done_at, done_id, \
                status, updated_at, last_event_id)
                    WHERE t.note_id = u.note_id AND t.version = u.expected
                    RETURNING 1
                )
                SELECT commands_expect((SELECT count(*) FROM changed), $14, 'a note')
                """,
            ])
        #expect(writes.map(\.1.count) == [14, 14])
        #expect(NoteTable().writes([]).isEmpty)
    }

    @Test func whatIsWrittenIsRead() async throws {
        try await Self.withTable { connection in
            let (first, second) = (Self.note("first"), Self.note("second"))
            try await Self.run(
                NoteTable().writes([Self.change("a", to: first), Self.change("b", to: second)]), connection)
            var changed = second
            changed.count = -1
            changed.tags = []
            changed.dueAt = Timestamp(microseconds: 5)
            changed.done = Self.moment(3)
            changed.last = Self.moment(3)
            var renamed = changed
            renamed.title = "a constant"
            try await Self.run(NoteTable().writes([Self.change("b", from: (second, 1), to: renamed)]), connection)
            let found = try await Self.loaded(["a", "b", "c"], connection)
            #expect(
                found == [
                    "a": Loaded(first, version: 1, lastEventAt: first.last.at),
                    "b": Loaded(changed, version: 2, lastEventAt: changed.last.at),
                ])
            let statuses = try await connection.execute("SELECT string_agg(status, ' ' ORDER BY note_id) FROM notes")
            #expect(try statuses.string(0, 0) == "open done")
        }
    }

    @Test func anotherVersionIsNotOverwritten() async throws {
        try await Self.withTable { connection in
            let note = Self.note("x")
            try await Self.run(
                NoteTable().writes([Self.change("a", to: note), Self.change("b", to: note)]), connection)
            var changed = note
            changed.count = 7
            // One of the two has another version. Neither is changed.
            let stale = NoteTable().writes([
                Self.change("a", from: (note, 1), to: changed), Self.change("b", from: (note, 2), to: changed),
            ])
            let conflict = await #expect(throws: PostgresError.self) { try await Self.run(stale, connection) }
            #expect(conflict?.sqlState == .versionConflict)
            let twice = NoteTable().writes([Self.change("a", to: changed)])
            let duplicate = await #expect(throws: PostgresError.self) { try await Self.run(twice, connection) }
            #expect(duplicate?.sqlState == .uniqueViolation)
            #expect(try await Self.loaded(["a", "b"], connection).values.allSatisfy { $0.state == note })
        }
    }

    // MARK: a table

    private static func withTable(_ body: (PostgresConnection) async throws -> Void) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox", "commands"]) { database in
            let connection = try await PostgresConnection.connect(database)
            try await connection.execute(script: NoteTable.schema)
            try await body(connection)
            await connection.close()
        }
    }

    private static func run(_ writes: [(Statement, Parameters)], _ connection: PostgresConnection) async throws {
        for (statement, parameters) in writes { try await connection.execute(statement, parameters) }
    }

    private static func loaded(
        _ ids: [String], _ connection: PostgresConnection
    ) async throws -> [String: Loaded<NoteState>] {
        var results: [QueryResult] = []
        for (statement, parameters) in NoteTable().reads(ids, locking: true) {
            results.append(try await connection.execute(statement, parameters))
        }
        return try NoteTable().loaded(results[...])
    }
}
