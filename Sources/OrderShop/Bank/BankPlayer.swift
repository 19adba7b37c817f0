internal import StreamCore
internal import Synchronization

/// A simulated bank, independent of where its commands are sent.
public protocol PlayedBank: Sendable {
    /// The progress. It can be read from any task.
    var totals: BankLoad.Totals { get }
    /// Ends ``run()`` after the current commands.
    func stop()
    /// Opens the accounts and makes the movements. It ends when all movements are made, the duration is over,
    /// ``stop()`` is called, or the task is cancelled.
    ///
    /// - Returns: the totals.
    @discardableResult
    func run() async throws -> BankLoad.Totals
}

/// Plays the plan of a bank. First it opens the accounts, then it makes the movements at their rate.
final class BankPlayer: Sendable {
    /// The result of a command.
    enum Outcome: Sendable {
        case carriedOut
        /// A rule refused the command.
        case refused
        /// The load ended before the command had an answer.
        case stopped
    }

    private let configuration: BankLoad.Configuration
    private let players: Int
    private let isStopping = Atomic(false)
    private let counted = Mutex(BankLoad.Totals())
    /// The plan. Each run has new accounts, so the movements of a seed are the same whatever was played before.
    let plan: BankPlan

    /// - Parameter players: maximum number of concurrent commands.
    init(_ configuration: BankLoad.Configuration, players: Int) {
        precondition(players >= 1 && configuration.accounts >= 2, "nobody could pay")
        self.configuration = configuration
        self.players = players
        plan = BankPlan(
            seed: configuration.seed, run: String(UInt64(Timestamp.now.microseconds), radix: 36),
            accounts: configuration.accounts)
    }

    var totals: BankLoad.Totals { counted.withLock { $0 } }

    func stop() { isStopping.store(true, ordering: .relaxed) }

    var isOver: Bool { isStopping.load(ordering: .relaxed) || Task.isCancelled }

    /// Plays until the end.
    ///
    /// - Parameter carryOut: sends a command until it has an answer.
    /// - Throws: the first error of `carryOut`, after the current commands have ended.
    func run<Failure>(
        _ carryOut: @escaping @Sendable (BankPlan.Step) async throws(Failure) -> Outcome
    ) async throws(Failure) {
        try await inParallel(configuration.accounts) { (number) async throws(Failure) in
            if case .carriedOut = try await carryOut(self.plan.opening(of: number)) {
                self.counted.withLock { $0.accounts += 1 }
            }
        }
        let start = ContinuousClock.now
        try await inParallel(configuration.movements ?? .max) { (number) async throws(Failure) in
            guard await self.isDue(number, since: start) else { return }
            let outcome = try await carryOut(self.plan.movement(number))
            self.counted.withLock { totals in
                switch outcome {
                case .carriedOut: totals.movements += 1
                case .refused: totals.refused += 1
                case .stopped: break
                }
            }
        }
    }

    /// Calls `body` with the numbers from 0 on, several at a time, until no number is left or the load is over.
    private func inParallel<Failure>(
        _ count: Int, _ body: @escaping @Sendable (Int) async throws(Failure) -> Void
    ) async throws(Failure) {
        let numbers = NumberSource(count: count)
        let failure = await withTaskGroup(of: Failure?.self) { group in
            for _ in 0..<players {
                group.addTask {
                    do throws(Failure) {
                        while !self.isOver, let number = numbers.next() { try await body(number) }
                        return nil
                    } catch {
                        self.stop()
                        return error
                    }
                }
            }
            var first: Failure?
            for await failure in group where first == nil { first = failure }
            return first
        }
        if let failure { throw failure }
    }

    /// Waits until a movement is due.
    ///
    /// - Returns: false if the load ends before that.
    private func isDue(_ number: Int, since start: ContinuousClock.Instant) async -> Bool {
        let pace = LoadPacer(ordersPerSecond: configuration.movementsPerSecond)
        let due = start + .seconds(pace.due(number))
        while true {
            let now = ContinuousClock.now
            if let duration = configuration.duration, now - start >= duration { stop() }
            if isOver { return false }
            if now >= due { return true }
            // The sleep is short, so that it notices a stop.
            try? await Task.sleep(for: min(due - now, .milliseconds(50)))
        }
    }
}

/// Hands out the numbers from 0 on, each once.
private final class NumberSource: Sendable {
    private let count: Int
    private let last = Mutex(0)

    init(count: Int) {
        self.count = count
    }

    func next() -> Int? {
        last.withLock { last in
            guard last < count else { return nil }
            defer { last += 1 }
            return last
        }
    }
}
