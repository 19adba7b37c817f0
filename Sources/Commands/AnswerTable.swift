internal import Events
internal import Postgres
internal import StreamCore

/// The stored answers of commands with idempotency keys: those that a transaction looks up, and those that it adds. If
/// two transactions add an answer under the same new key, the table's primary key lets only one commit. The other is
/// rolled back. Its next attempt finds the stored answer.
struct AnswerTable {
    struct Kept {
        let fingerprint: [UInt8]
        let verdict: CommandOutcome.Verdict
    }

    private struct Name: Hashable {
        let scope: String
        let key: String

        init(_ key: IdempotencyKey) {
            scope = key.scope
            self.key = key.key
        }

        init(scope: String, key: String) {
            self.scope = scope
            self.key = key
        }
    }

    private struct NewAnswer {
        let key: IdempotencyKey
        let commandType: String
        let verdict: CommandOutcome.Verdict
        let at: Timestamp
    }

    private var wanted: [IdempotencyKey] = []
    private var known: [Name: Kept] = [:]
    private var added: [NewAnswer] = []

    mutating func want(_ key: IdempotencyKey) {
        wanted.append(key)
    }

    func answer(to key: IdempotencyKey) -> Kept? { known[Name(key)] }

    mutating func keep(
        _ verdict: CommandOutcome.Verdict, of commandType: String, for key: IdempotencyKey, at now: Timestamp
    ) {
        known[Name(key)] = Kept(fingerprint: key.fingerprint, verdict: verdict)
        added.append(NewAnswer(key: key, commandType: commandType, verdict: verdict, at: now))
    }

    // MARK: SQL

    /// Empty if no answer is needed.
    var lookup: Statements {
        if wanted.isEmpty { return [] }
        var scopes = TextArray(), keys = TextArray()
        for key in wanted {
            scopes.append(key.scope)
            keys.append(key.key)
        }
        var parameters = Parameters()
        parameters.append(scopes)
        parameters.append(keys)
        return [(Self.selection, parameters)]
    }

    private static let selection: Statement = """
        SELECT a.scope, a.key, a.fingerprint, a.aggregate_type, a.aggregate_id, a.version, a.body, a.rule,
            a.rule_kind, a.summary, a.detail
        FROM (SELECT DISTINCT scope, key FROM unnest($1, $2) AS u(scope, key)) AS u
        JOIN command_answers AS a ON a.scope = u.scope AND a.key = u.key
        """

    mutating func take(_ rows: QueryResult) throws {
        for row in 0..<rows.rowCount {
            let name = Name(scope: try rows.string(row, 0), key: try rows.string(row, 1))
            known[name] = Kept(fingerprint: [UInt8](copying: rows.bytes(row, 2)), verdict: try Self.verdict(rows, row))
        }
    }

    private static func verdict(_ rows: QueryResult, _ row: Int) throws -> CommandOutcome.Verdict {
        guard let rule = try rows.optionalString(row, 7) else {
            return .accepted(
                CommandResult(
                    aggregateType: try rows.string(row, 3), aggregateID: try rows.string(row, 4),
                    version: try rows.int64(row, 5), body: [UInt8](copying: rows.bytes(row, 6))))
        }
        let name = try rows.string(row, 8)
        guard let kind = RuleKind(name: name) else { throw StoredStateError("the kind of rule \(name) is unknown") }
        return .refused(
            Refusal(rule: rule, kind: kind, summary: try rows.string(row, 9), detail: try rows.string(row, 10)))
    }

    /// Empty if there is no new answer.
    var insertion: Statements {
        if added.isEmpty { return [] }
        var scopes = TextArray(), keys = TextArray(), types = TextArray(), fingerprints = ByteaArray()
        var aggregateTypes = TextArray(), aggregateIDs = TextArray(), versions = Int64Array(), bodies = JSONArray()
        var rules = TextArray(), kinds = TextArray(), summaries = TextArray(), details = TextArray()
        var times = TimestampArray()
        for answer in added {
            scopes.append(answer.key.scope)
            keys.append(answer.key.key)
            types.append(answer.commandType)
            fingerprints.append(answer.key.fingerprint)
            times.append(answer.at)
            var (result, refusal): (CommandResult?, Refusal?) = (nil, nil)
            switch answer.verdict {
            case .accepted(let accepted): result = accepted
            case .refused(let refused): refusal = refused
            }
            aggregateTypes.append(result?.aggregateType)
            aggregateIDs.append(result?.aggregateID)
            versions.append(result?.version)
            if let result { bodies.append(json: result.body.span) } else { bodies.appendNull() }
            rules.append(refusal?.rule)
            kinds.append(refusal?.kind.name)
            summaries.append(refusal?.summary)
            details.append(refusal?.detail)
        }
        var parameters = Parameters()
        parameters.append(scopes)
        parameters.append(keys)
        parameters.append(types)
        parameters.append(fingerprints)
        parameters.append(aggregateTypes)
        parameters.append(aggregateIDs)
        parameters.append(versions)
        parameters.append(bodies)
        parameters.append(rules)
        parameters.append(kinds)
        parameters.append(summaries)
        parameters.append(details)
        parameters.append(times)
        return [(Self.addition, parameters)]
    }

    private static let addition: Statement = """
        INSERT INTO command_answers (scope, key, command_type, fingerprint, aggregate_type, aggregate_id, version, body,
            rule, rule_kind, summary, detail, created_at)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """
}

extension RuleKind {
    /// The name in the table.
    var name: String {
        switch self {
        case .notFound: "not-found"
        case .conflict: "conflict"
        case .invalid: "invalid"
        }
    }

    init?(name: String) {
        switch name {
        case "not-found": self = .notFound
        case "conflict": self = .conflict
        case "invalid": self = .invalid
        default: return nil
        }
    }
}
