internal import Blocking
internal import Dispatch
internal import Foundation
internal import Glibc

/// The time limit of an exchange with the server, and whether cancelling the task interrupts the exchange.
struct ExchangeLimits {
    var deadline: ContinuousClock.Instant?
    var isInterruptible: Bool

    init(timeoutMs: Int?, isInterruptible: Bool = true) {
        deadline = timeoutMs.map { .now + .milliseconds($0) }
        self.isInterruptible = isInterruptible
    }

    static var uninterrupted: ExchangeLimits { ExchangeLimits(timeoutMs: nil, isInterruptible: false) }
}

/// One command of a pipeline.
struct Command {
    enum Form {
        case prepare(String, [UInt32])
        case prepared(String)
        case unprepared(String)
    }

    let form: Form
    let sql: String
    let parameters: Parameters
    /// Whether the caller receives its result.
    let isAnswer: Bool

    init(_ form: Form, sql: String, parameters: Parameters = Parameters(), isAnswer: Bool = true) {
        self.form = form
        self.sql = sql
        self.parameters = parameters
        self.isAnswer = isAnswer
    }
}

extension PostgresError {
    /// Whether the task was cancelled before anything was sent.
    var isOfUnsent: Bool { code == .cancelled && sqlState == nil }
}

/// Talks to the server over one PGconn: sends, waits for the socket and collects results. It blocks its thread.
struct ServerLink {
    /// Interrupts a wait, so that the thread checks whether its task was cancelled.
    let wakeup: Wakeup
    let waits = ServerWaits()
    private var handle: ConnectionHandle?
    private var canceller: Canceller?
    /// Why there is no handle.
    private var lossReason: PostgresError?
    /// The names of the statements that the last run prepared, even if the run failed later.
    private(set) var newlyPrepared: [String] = []

    /// Maximum time for the server to end a cancelled statement. After that, the connection is closed.
    private static let cancelGrace: Duration = .seconds(5)

    init() throws(PostgresError) {
        do {
            wakeup = try Wakeup()
        } catch {
            throw PostgresError(.cannotConnect, error.description)
        }
    }

    var isOpen: Bool { handle != nil }
    var serverProcessID: Int32 { handle?.serverProcessID ?? 0 }
    var isIdleOutsideTransaction: Bool { handle?.isIdleOutsideTransaction ?? false }
    var closedError: PostgresError { lossReason ?? PostgresError(.connectionClosed, "the connection is closed") }

    mutating func close() {
        handle = nil
        canceller = nil
        lossReason = nil
    }

    // MARK: connecting

    mutating func open(_ configuration: PostgresConfiguration) throws(PostgresError) {
        let deadline = ContinuousClock.now + .milliseconds(configuration.connectTimeoutMs)
        let fresh = try ConnectionHandle(starting: configuration)
        if fresh.isBad { throw PostgresError(.cannotConnect, fresh.lastMessage) }
        fresh.setVerbose(true)
        var step = ConnectionHandle.ConnectStep.writing
        while step != .connected {
            let events = step == .reading ? POLLIN : POLLOUT
            switch Self.wait(fresh.socket, for: events, orWakeup: wakeup, until: deadline) {
            case .woken where Task.isCancelled: throw PostgresError(.cancelled, "cancelled while connecting")
            case .woken: continue
            case .timedOut:
                throw PostgresError(.cannotConnect, "no connection within \(configuration.connectTimeoutMs) ms")
            case .ready: break
            }
            step = fresh.connectStep()
            if step == .failed { throw Self.connectError(fresh.lastMessage) }
        }
        fresh.setVerbose(false)
        guard fresh.setNonblocking() else { throw PostgresError(.cannotConnect, fresh.lastMessage) }
        canceller = fresh.makeCanceller()
        handle = consume fresh
    }

    /// Reads the SQLSTATE of a refused connection. There is no result that contains it, but libpq's verbose messages
    /// do: `… failed: FATAL:  28P01: password authentication failed | LOCATION:  …`.
    static func connectError(_ message: String) -> PostgresError {
        var text = Substring(message)
        // libpq reports this itself, without the server: none of the hosts accepts writes.
        if text.contains("session is read-only") {
            return PostgresError(.cannotConnect, message, sqlState: .readOnlyTransaction)
        }
        if let location = text.range(of: " | LOCATION:  ") { text = text[..<location.lowerBound] }
        guard let severity = text.range(of: ":  "),
            case let state = text[severity.upperBound...].prefix(5), state.utf8.count == 5,
            state.utf8.allSatisfy({ (48...57).contains($0) || (65...90).contains($0) }),
            case let rest = text[state.endIndex...], rest.hasPrefix(": ")
        else { return PostgresError(.cannotConnect, String(text)) }
        return PostgresError(
            .cannotConnect, text[..<severity.upperBound] + String(rest.dropFirst(2)), sqlState: SQLState(String(state)))
    }

    // MARK: exchanges

    /// Runs commands in one round trip, and returns the results of those whose `isAnswer` is true.
    ///
    /// - Parameter following: commands that the server runs after the others in the same round trip, in a separate
    ///   transaction. Their results and errors are dropped.
    mutating func run(
        _ commands: [Command], following: [Command] = [], _ limits: ExchangeLimits
    ) throws(PostgresError) -> [QueryResult] {
        newlyPrepared = []
        guard handle != nil else { throw closedError }
        try checkNotCancelled(limits)
        let isPipeline = commands.count + following.count > 1
        guard send(commands, following: following, asPipeline: isPipeline) else { throw lost() }
        var exchange = Exchange(limits: limits)
        var results: [QueryResult] = []
        results.reserveCapacity(commands.count)
        for command in commands {
            collecting: while true {
                switch try reply(&exchange, sql: command.sql) {
                case .rows(let rows):
                    if command.isAnswer { results.append(rows) }
                    if case .prepare(let name, _) = command.form { newlyPrepared.append(name) }
                case .failed(let error): exchange.note(error)
                case .pipelineAborted: break
                case .sync, .end: break collecting
                }
            }
        }
        if isPipeline {
            guard case .sync = try reply(&exchange, sql: nil) else { throw lost() }
            if !following.isEmpty { try dropReplies(to: following, &exchange) }
            guard handle?.exitPipeline() == true else { throw lost() }
        }
        try settle(exchange)
        if let failure = exchange.failure { throw exchange.explained(failure) }
        return results
    }

    /// Reads and drops the replies to commands after the first end of a pipeline, and the second end.
    private mutating func dropReplies(to commands: [Command], _ exchange: inout Exchange) throws(PostgresError) {
        for command in commands {
            dropping: while true {
                switch try reply(&exchange, sql: command.sql) {
                case .rows, .failed, .pipelineAborted: break
                case .sync, .end: break dropping
                }
            }
        }
        guard case .sync = try reply(&exchange, sql: nil) else { throw lost() }
    }

    /// Runs a text of statements, and returns the command tag of the last one.
    mutating func runScript(_ script: String, _ limits: ExchangeLimits) throws(PostgresError) -> String {
        guard handle != nil else { throw closedError }
        try checkNotCancelled(limits)
        guard handle?.sendScript(script) == true else { throw lost() }
        var exchange = Exchange(limits: limits)
        var tag = ""
        var completed = 0
        collecting: while true {
            switch try reply(&exchange, sql: script) {
            case .rows(let rows):
                tag = rows.commandTag
                completed += 1
            case .failed(var error):
                error.completedStatements = completed
                exchange.note(error)
            case .pipelineAborted, .sync: break
            case .end: break collecting
            }
        }
        try settle(exchange)
        if let failure = exchange.failure { throw exchange.explained(failure) }
        return tag
    }

    private func checkNotCancelled(_ limits: ExchangeLimits) throws(PostgresError) {
        if limits.isInterruptible && Task.isCancelled {
            throw PostgresError(.cancelled, "cancelled before it was sent")
        }
    }

    private mutating func send(_ commands: [Command], following: [Command], asPipeline: Bool) -> Bool {
        if asPipeline {
            guard handle?.enterPipeline() == true else { return false }
        }
        guard send(commands) else { return false }
        if !following.isEmpty {
            guard handle?.sendSync() == true, send(following) else { return false }
        }
        return asPipeline ? handle?.sendSync() == true : true
    }

    private mutating func send(_ commands: [Command]) -> Bool {
        for command in commands {
            let isSent =
                switch command.form {
                case .prepare(let name, let types): handle?.sendPrepare(name, command.sql, types: types)
                case .prepared(let name): handle?.sendPrepared(name, command.parameters)
                case .unprepared(let sql): handle?.sendUnprepared(sql, command.parameters)
                }
            guard isSent == true else { return false }
        }
        return true
    }

    // MARK: waiting

    /// The limits and the state of one exchange with the server.
    private struct Exchange {
        var limits: ExchangeLimits
        /// Why the statement was cancelled; nil if it was not.
        var interruption: PostgresError.Code?
        /// Signalled when the request to cancel has reached the server.
        var cancelled: DispatchSemaphore?
        /// The first error. A server that ends a session sends its reason before the connection breaks.
        var failure: PostgresError?

        init(limits: ExchangeLimits) {
            self.limits = limits
        }

        mutating func note(_ error: PostgresError) {
            if failure == nil { failure = error }
        }

        /// Replaces the code of error 57014 by our reason if we asked for the cancellation.
        func explained(_ error: PostgresError) -> PostgresError {
            guard let interruption, error.sqlState == .queryCanceled else { return error }
            var explained = PostgresError(interruption, error.message, sqlState: error.sqlState)
            explained.sql = error.sql
            return explained
        }
    }

    /// Waits for the next reply within the limits.
    ///
    /// - Throws: ``PostgresError/Code-swift.enum/connectionLost``. There is no handle afterwards.
    private mutating func reply(_ exchange: inout Exchange, sql: String?) throws(PostgresError)
        -> ConnectionHandle.Reply
    {
        guard let handle else { throw closedError }
        while true {
            let flush = handle.flush()
            if flush == .failed && !handle.consumeInput() { throw lost() }
            if !handle.isBusy { break }
            if handle.socket < 0 { throw lost(exchange.failure) }
            waits.step()
            let readiness = Self.wait(
                handle.socket, for: flush == .pending ? POLLIN | POLLOUT : POLLIN,
                orWakeup: exchange.limits.isInterruptible ? wakeup : nil, until: exchange.limits.deadline)
            waits.step()
            switch readiness {
            case .ready: if !handle.consumeInput() { throw lost(exchange.failure) }
            case .woken: if Task.isCancelled { try interrupt(&exchange, .cancelled) }
            case .timedOut: try interrupt(&exchange, .deadlineExceeded)
            }
        }
        let reply = handle.nextReply(sql: sql)
        if case .failed(let error) = reply, handle.isBad {
            throw lost(exchange.failure ?? error)
        }
        return reply
    }

    /// Asks the server to cancel the statement. The second call, after ``cancelGrace``, closes the connection.
    private mutating func interrupt(_ exchange: inout Exchange, _ reason: PostgresError.Code) throws(PostgresError) {
        guard exchange.interruption == nil, let canceller else {
            throw lost(PostgresError(.connectionLost, "the server did not answer the request to cancel"))
        }
        exchange.interruption = reason
        exchange.cancelled = canceller.cancel()
        exchange.limits.isInterruptible = false
        exchange.limits.deadline = .now + Self.cancelGrace
    }

    /// Waits until the server has handled the request to cancel, so that it cannot cancel the next statement. The
    /// server signals its process before it closes the request's connection, and an idle process ignores the signal.
    private mutating func settle(_ exchange: Exchange) throws(PostgresError) {
        guard let cancelled = exchange.cancelled else { return }
        if cancelled.wait(timeout: .now() + .seconds(5)) == .timedOut {
            throw lost(PostgresError(.connectionLost, "the server did not answer the request to cancel"))
        }
    }

    /// Closes the connection and returns the error that explains why.
    private mutating func lost(_ cause: PostgresError? = nil) -> PostgresError {
        var error = cause ?? PostgresError(.connectionLost, handle?.lastMessage ?? "the connection is lost")
        if error.code != .connectionLost {
            error = PostgresError(.connectionLost, error.message, sqlState: error.sqlState)
        }
        handle = nil
        canceller = nil
        lossReason = error
        return error
    }

    /// Closes the connection because the server is the wrong one.
    ///
    /// - Returns: the error to throw instead of `cause`.
    mutating func giveUp(_ cause: PostgresError) -> PostgresError { lost(cause) }

    /// Whether the socket shows that the connection is open. Reads what has arrived, such as notices and the message
    /// with which the server ends a session.
    mutating func checkAlive() -> Bool {
        guard let handle else { return false }
        // The end of the connection follows the last bytes, so the loop reads until no more bytes arrive.
        while case .ready = Self.wait(handle.socket, for: POLLIN, orWakeup: nil, until: .now) {
            // `isBusy` makes libpq parse the messages that have arrived.
            if !handle.consumeInput() || handle.isBusy || handle.isBad {
                _ = lost(handle.farewell)
                return false
            }
        }
        return true
    }

    /// Blocks until another session has sent a notification, `isStopped` returns true after a wake-up, or the task is
    /// cancelled.
    ///
    /// - Returns: all notifications that have arrived; none if it was stopped.
    mutating func waitForNotifications(isStopped: () -> Bool) throws(PostgresError) -> [PostgresNotification] {
        guard let handle else { throw closedError }
        while true {
            var arrived: [PostgresNotification] = []
            while let notification = handle.nextNotification() { arrived.append(notification) }
            if !arrived.isEmpty || isStopped() || Task.isCancelled { return arrived }
            let readiness = Self.wait(handle.socket, for: POLLIN, orWakeup: wakeup, until: nil)
            if readiness == .ready && !handle.consumeInput() { throw lost() }
        }
    }

    enum Readiness { case ready, woken, timedOut }

    /// Blocks until `socket` is ready for one of `events`, `wakeup` is signalled, or `deadline` passes.
    static func wait(
        _ socket: Int32, for events: Int32, orWakeup wakeup: Wakeup?, until deadline: ContinuousClock.Instant?
    ) -> Readiness {
        var timeoutMs: Int32 = -1
        if let deadline {
            let left = max(deadline - .now, .zero).components
            let milliseconds = left.seconds * 1_000 + (left.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
            timeoutMs = Int32(clamping: milliseconds)
        }
        var descriptors = (
            pollfd(fd: socket, events: Int16(events), revents: 0),
            pollfd(fd: wakeup?.fileDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
        )
        // SAFETY: a tuple of two pollfd has the memory layout of an array of two. poll ignores a negative descriptor.
        let count = unsafe withUnsafeMutablePointer(to: &descriptors) { pointer in
            unsafe pointer.withMemoryRebound(to: pollfd.self, capacity: 2) { unsafe poll($0, 2, timeoutMs) }
        }
        if descriptors.1.revents != 0 {
            wakeup?.drain()
            return .woken
        }
        // If a signal interrupted poll, the caller's loop waits again.
        return count == 0 ? .timedOut : .ready
    }
}
