import Blocking
import StreamCore
import Testing

@testable import OperatorCommands

@Suite struct RestartPolicyTests {
    /// Always selects the longest delay of a step.
    struct NoJitter: RandomNumberGenerator {
        mutating func next() -> UInt64 { .max }
    }

    static func delay(_ answer: RestartPolicy.Answer) throws -> Duration {
        guard case .restart(let delay) = answer else {
            throw Unexpected(answer: "\(answer)")
        }
        return delay
    }

    struct Unexpected: Error {
        let answer: String
    }

    @Test func quickEndsAreAnsweredLaterAndLaterUpToALimit() throws {
        var policy = RestartPolicy()
        var random = NoJitter()
        var delays: [Duration] = []
        for _ in 0..<12 {
            delays.append(try Self.delay(policy.ended(.exited(1), ranFor: .milliseconds(80), using: &random)))
        }
        #expect(delays[0] <= .milliseconds(250))
        #expect(zip(delays, delays.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(delays[11] <= .seconds(15))
        #expect(delays[11] > .seconds(14))
        #expect(policy.restarts == 12)
    }

    @Test func aHealthyRunStartsFromTheShortestDelayAgain() throws {
        var policy = RestartPolicy()
        var random = NoJitter()
        for _ in 0..<8 { _ = policy.ended(.signalled(9), ranFor: .zero, using: &random) }
        let delay = try Self.delay(policy.ended(.signalled(9), ranFor: .seconds(21), using: &random))
        #expect(delay <= .milliseconds(250))
    }

    @Test func aWrongConfigurationIsNotTriedAgain() {
        var policy = RestartPolicy()
        var random = NoJitter()
        let answer = policy.ended(.exited(78), ranFor: .seconds(60), using: &random)
        guard case .giveUp(let reason) = answer else {
            Issue.record("tried again: \(answer)")
            return
        }
        #expect(reason.contains("78"))
        #expect(policy.restarts == 0)
    }

    @Test func aCleanEndThatNobodyAskedForIsAnEnd() throws {
        var policy = RestartPolicy()
        var random = NoJitter()
        #expect(try Self.delay(policy.ended(.exited(0), ranFor: .seconds(1), using: &random)) > .zero)
    }
}
