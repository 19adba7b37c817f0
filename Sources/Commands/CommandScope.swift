public import Events
public import StreamCore

/// What a handler says before it is asked to decide: which aggregates and facts it needs.
public struct ReadPlan {
    let work: CommandWork
    /// The version of the aggregate that was named first, once it is read.
    private(set) var primaryVersion: (() -> Int64)?

    init(_ work: CommandWork) {
        self.work = work
    }

    /// The command changes this aggregate, or depends on it. The first that is named is the one that the command is
    /// about: a client's expected version is its version.
    public mutating func aggregate<D: Decider>(_: D.Type, _ id: String) {
        let session = work.session(of: D.self)
        session.want(id)
        if primaryVersion == nil { primaryVersion = { session.current(id)?.version ?? 0 } }
    }

    /// The command's rules ask for this.
    public mutating func fact<F: Fact>(_: F.Type, _ key: String) {
        work.facts(F.self).want(key)
    }
}

/// What a handler decides with: what was read, what earlier commands of the same transaction made of it, and where
/// events go.
public struct CommandScope {
    let work: CommandWork
    /// What came along with the command.
    public let request: CommandRequest
    /// Unique for this command; its events name it as their cause.
    public let commandID: EventID

    /// The tenant that sends the command, where tenants are told apart.
    public var tenantID: String? { request.metadata.tenantID }

    /// An aggregate as it is now; nil where there is none.
    public func aggregate<D: Decider>(_: D.Type, _ id: String) -> Loaded<D.State>? {
        work.session(of: D.self).current(id)
    }

    /// A fact as it is now.
    public func fact<F: Fact>(_: F.Type, _ key: String) -> F.Value {
        work.facts(F.self).value(key)
    }

    /// What the command makes of a fact, for the commands that follow in the same transaction.
    public func changeFact<F: Fact>(_: F.Type, _ key: String, _ body: (inout F.Value) -> Void) {
        work.facts(F.self).change(key, body)
    }

    /// Lets an aggregate's rules decide, and makes happen what they say.
    ///
    /// - Returns: how many events there are.
    @discardableResult
    public func decide<D: Decider>(
        _: D.Type, _ id: String, _ command: D.Command, _ facts: D.Facts
    ) throws(Refusal) -> Int {
        let session = work.session(of: D.self)
        let payloads: [D.Payload]
        do {
            payloads = try D.decide(command, session.current(id)?.state, facts)
        } catch {
            throw Refusal(error)
        }
        for payload in payloads { append(payload, to: id, session) }
        return payloads.count
    }

    /// Lets an aggregate's rules decide that need no facts.
    @discardableResult
    public func decide<D: Decider>(
        _: D.Type, _ id: String, _ command: D.Command
    ) throws(Refusal) -> Int where D.Facts == Void {
        try decide(D.self, id, command, ())
    }

    private func append<D: Decider>(_ payload: D.Payload, to id: String, _ session: AggregateSession<D>) {
        let current = session.current(id)
        let earliest = (current?.lastEventAt.microseconds).map { $0 + 1 } ?? .min
        let at = Timestamp(microseconds: max(work.now.microseconds, earliest))
        let event = Event(
            payload, of: id, sequence: (current?.version ?? 0) + 1, at: at, eventID: work.newID(),
            correlationID: request.correlationID ?? commandID.description, causationID: commandID.description,
            metadata: request.metadata)
        session.append(event, to: id)
        let trace = request.trace
        work.staged.append { $0.append(event, trace: trace) }
        work.inline.append(event)
    }

    /// The answer about an aggregate as the command leaves it.
    ///
    /// - Parameter body: writes its JSON.
    public func result<D: Decider>(
        _: D.Type, _ id: String, _ body: (Loaded<D.State>) -> [UInt8]
    ) -> CommandResult {
        let loaded = aggregate(D.self, id)
        return CommandResult(
            aggregateType: D.kind.rawValue, aggregateID: id, version: loaded?.version ?? 0,
            body: loaded.map(body) ?? Array("null".utf8))
    }
}
