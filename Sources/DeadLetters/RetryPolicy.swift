/// Decides when letters of some error classes are retried automatically. A letter waits for an operator if no policy
/// names its class, or if its attempts are used up.
///
/// This is a pure value: it neither sleeps nor reads a clock.
public struct RetryPolicy: Sendable, Hashable {
    /// Error classes: `*` stands for any text, `?` for one character.
    public var errorClasses: [String]
    /// Milliseconds until the first retry, before jitter. Each further delay is twice as long.
    public var initialDelayMs: Int
    /// The maximum delay in milliseconds.
    public var ceilingMs: Int
    /// Number of failed retries after which the letter waits for an operator.
    public var attemptsLimit: Int

    public init(
        errorClasses: [String], initialDelayMs: Int = 30_000, ceilingMs: Int = 3_600_000, attemptsLimit: Int = 8
    ) {
        self.errorClasses = errorClasses
        self.initialDelayMs = initialDelayMs
        self.ceilingMs = ceilingMs
        self.attemptsLimit = attemptsLimit
    }

    /// Errors that look temporary: a server was unavailable, a row that the event refers to did not exist yet (23503, a
    /// missing foreign key), or a row was locked or slow for so long that a projection parked its event (08, 40001,
    /// 40P01, 55006, 55P03, 57014).
    public static let transientLooking = RetryPolicy(
        errorClasses: [
            "*timeout*", "*timed_out*", "*unavailable*", "*connection*", "*temporar*", "sql_23503",
            "sql_08*", "sql_40001", "sql_40P01", "sql_55006", "sql_55P03", "sql_57014",
        ])

    /// Milliseconds until the next retry, with jitter between half and the whole of each step.
    ///
    /// - Parameter failedAttempts: the number of failed retries so far.
    /// - Returns: nil if the attempts are used up.
    func delayMs(failedAttempts: Int, using random: inout some RandomNumberGenerator) -> Int64? {
        guard failedAttempts < attemptsLimit else { return nil }
        var step = Int64(initialDelayMs)
        for _ in 0..<min(failedAttempts, 62) where step < Int64(ceilingMs) { step = min(step * 2, Int64(ceilingMs)) }
        return step / 2 + Int64.random(in: 0...(step - step / 2), using: &random)
    }

    func covers(_ errorClass: String) -> Bool {
        errorClasses.contains { Glob.matches($0, errorClass) }
    }

    /// The problems of the values; empty if there are none.
    public func validate() -> [String] {
        var problems: [String] = []
        if errorClasses.isEmpty || errorClasses.contains("") { problems.append("a policy names no error class") }
        if initialDelayMs <= 0 || ceilingMs < initialDelayMs || ceilingMs > 30 * 86_400_000 {
            problems.append("initialDelayMs and ceilingMs must be positive, in ascending order, and at most 30 days")
        }
        if !(1...1_000).contains(attemptsLimit) { problems.append("attemptsLimit is outside 1…1000") }
        return problems
    }
}

/// Policies in order. The first one that names a class counts.
struct RetryPolicies: Sendable {
    let policies: [RetryPolicy]

    func delayMs(
        _ errorClass: String, failedAttempts: Int, using random: inout some RandomNumberGenerator
    ) -> Int64? {
        policies.first { $0.covers(errorClass) }?.delayMs(failedAttempts: failedAttempts, using: &random)
    }
}

/// Matches patterns with `*` and `?`.
enum Glob {
    /// In the worst case its time is proportional to the product of both lengths.
    static func matches(_ pattern: String, _ text: String) -> Bool {
        let pattern = Array(pattern.unicodeScalars)
        let text = Array(text.unicodeScalars)
        var (p, t) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while t < text.count {
            if p < pattern.count, pattern[p] == "*" {
                star = (p, t)
                p += 1
            } else if p < pattern.count, pattern[p] == "?" || pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let last = star {
                // The last star matches one more character.
                star = (last.pattern, last.text + 1)
                p = last.pattern + 1
                t = last.text + 1
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == "*" }
    }
}
