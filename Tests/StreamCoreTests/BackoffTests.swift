import StreamCore
import Testing

@Suite struct BackoffTests {
    @Test func doublesUpToTheCeilingAndJittersDownwards() {
        var backoff = Backoff(initial: .milliseconds(100), ceiling: .seconds(1))
        for step in [100, 200, 400, 800, 1_000, 1_000] {
            let delay = backoff.next()
            #expect(delay >= .milliseconds(step / 2) && delay <= .milliseconds(step))
        }
        #expect(backoff.attempts == 6)
    }

    @Test func startsOverAfterASuccess() {
        var backoff = Backoff(initial: .milliseconds(10), ceiling: .seconds(60))
        for _ in 0..<200 { _ = backoff.next() }
        backoff.reset()
        #expect(backoff.attempts == 0)
        #expect(backoff.next() <= .milliseconds(10))
    }
}
