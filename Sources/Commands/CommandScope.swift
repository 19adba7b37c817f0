public import Events
public import StreamCore

/// The aggregates and facts that a handler needs, which it names before it decides.
public struct ReadPlan {
    let work: CommandWork
    /// Returns the version of the aggregate that was named first, as a tenant sees it. It must be called after the
    /// read.
    private(set) var primaryVersion: ((String?) -> Int64)?

    init(_ work: CommandWork) {
        self.work = work
    }

    /// The command changes this aggregate or depends on it. The first aggregate that is named is the command's target:
    /// a client's expected version is checked against it.
    public mutating func aggregate<D: Decider>(_: D.Type, _ id: String) {
        let session = work.session(of: D.self)
        session.want(id)
        if primaryVersion != nil { return }
        primaryVersion = { tenantID in
            guard let current = session.current(id) else { return 0 }
            // Another tenant's aggregate does not exist, and neither does its version.
            if let owned = current.state as? any TenantOwned, owned.tenantID != tenantID { return 0 }
            return current.version
        }
    }

    /// The command's rules need this fact.
    public mutating func fact<F: Fact>(_: F.Type, _ key: String) {
        work.facts(F.self).want(key)
    }
}

/// The context of a decision: the aggregates and facts that were read, with the changes of earlier commands of the same
/// transaction. It also collects the events.
public struct CommandScope {
    let work: CommandWork
    /// The properties of the request.
    public let request: CommandRequest
    /// The unique id of this command. Its events name it as their cause.
    public let commandID: EventID

    /// The tenant of the command's sender; nil without tenants.
    public var tenantID: String? { request.metadata.tenantID }

    /// The current state of an aggregate; nil if it does not exist.
    public func aggregate<D: Decider>(_: D.Type, _ id: String) -> Loaded<D.State>? {
        work.session(of: D.self).current(id)
    }

    /// The current value of a fact.
    public func fact<F: Fact>(_: F.Type, _ key: String) -> F.Value {
        work.facts(F.self).value(key)
    }

    /// Changes a fact for the commands that follow in the same transaction.
    public func changeFact<F: Fact>(_: F.Type, _ key: String, _ body: (inout F.Value) -> Void) {
        work.facts(F.self).change(key, body)
    }

    /// Lets the rules of an aggregate decide, and appends the resulting events.
    ///
    /// - Returns: the number of events.
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

    /// Lets the rules of an aggregate decide, if they need no facts.
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

    /// The answer with the aggregate's state after the command.
    ///
    /// - Parameter body: writes the aggregate's JSON.
    public func result<D: Decider>(
        _: D.Type, _ id: String, _ body: (Loaded<D.State>) -> [UInt8]
    ) -> CommandResult {
        let loaded = aggregate(D.self, id)
        return CommandResult(
            aggregateType: D.kind.rawValue, aggregateID: id, version: loaded?.version ?? 0,
            body: loaded.map(body) ?? Array("null".utf8))
    }
}
