import Kafka
import StreamCore
import Testing

@testable import DeadLetters

func plainLetter(
    _ reason: LetterReason = .failed, offset: Int64 = 1, delivery: Int32 = 1, key: String? = "k",
    errorClass: String = "invalid_json", message: String = "no JSON", consumer: String = "orders"
) -> Letter {
    Letter(
        name: LetterName(
            consumer: consumer, origin: TopicPartition(topic: "order-events", partition: 0), offset: offset),
        key: key.map { Array($0.utf8) }, value: [1], headers: [], isOrdered: key != nil, reason: reason,
        errorClass: reason == .blocked ? "blocked" : errorClass, message: message, dialect: .millrace,
        replayTopic: "retry.\(consumer)", delivery: delivery)
}

@Suite struct LifeTests {
    private let policies = RetryPolicies(policies: [
        RetryPolicy(errorClasses: ["sql_*"], initialDelayMs: 1_000, ceilingMs: 8_000, attemptsLimit: 3)
    ])

    private func life(
        _ state: LetterState, reason: LetterReason = .failed, delivery: Int32 = 2, _ notices: [LetterNotice]
    ) -> LetterLife {
        var random = SystemRandomNumberGenerator()
        var life = LetterLife(
            state: state, reason: reason, attempts: 0, delivery: delivery, errorClass: "old", fingerprint: "old",
            firstErrorClass: reason == .blocked ? "blocked" : "old", isDiscardOpen: state == .discarded,
            isRowForgotten: state == .discarded)
        for notice in notices { life.receive(notice, policies: policies, using: &random) }
        return life
    }

    private func failed(_ delivery: Int32, _ errorClass: String = "invalid_json") -> LetterNotice {
        .letter(plainLetter(delivery: delivery, errorClass: errorClass))
    }

    private func blocked(_ delivery: Int32) -> LetterNotice { .letter(plainLetter(.blocked, delivery: delivery)) }
    private func resolved(_ delivery: Int32?) -> LetterNotice { .resolved(plainLetter().name, delivery: delivery) }
    private func discarded(_ delivery: Int32?, isRowKept: Bool = true) -> LetterNotice {
        .discarded(plainLetter().name, delivery: delivery, isRowKept: isRowKept)
    }

    @Test func aFailedRetry() {
        let life = life(.retrying, [failed(2)])
        #expect(life.state == .pending && life.attempts == 1 && life.due == .never && life.errorClass == "invalid_json")
        #expect(life.history.map(\.action) == ["failed_again"])
        guard case .after(let delay) = self.life(.retrying, [failed(2, "sql_23503")]).due else {
            Issue.record("no policy")
            return
        }
        // The first retry has failed, so the second delay of the policy applies.
        #expect((1_000...2_000).contains(delay))
    }

    @Test func attemptsEnd() {
        let life = life(.retrying, [failed(2, "sql_1"), failed(3, "sql_1"), failed(4, "sql_1")])
        #expect(life.attempts == 3 && life.due == .never)
    }

    @Test func aBlockedRetryWaitsForTheOneBeforeIt() {
        let life = life(.retrying, reason: .failed, [blocked(2)])
        #expect(life.state == .pending && life.attempts == 0 && life.due == .never)
        #expect(life.reason == .failed && life.errorClass == "old" && life.failure == nil)
        #expect(life.history.map(\.action) == ["blocked_again"])
    }

    @Test func aBlockedLetterThatFailsItselfHasItsFirstErrorThen() {
        let life = life(.retrying, reason: .blocked, [failed(2)])
        #expect(life.reason == .failed && life.isFirstFailure && life.firstErrorClass == "invalid_json")
    }

    @Test(arguments: [LetterState.pending, .retrying, .resolved, .discarded])
    func oldAnswersChangeNothing(_ state: LetterState) {
        let life = life(state, delivery: 3, [failed(1), blocked(2), failed(2)])
        #expect(!life.isChanged && life.state == state && life.delivery == 3)
    }

    @Test func duplicatesChangeNothing() {
        #expect(life(.retrying, [failed(2), failed(2), failed(2)]).history.count == 1)
        #expect(life(.retrying, [resolved(2), resolved(2)]).history.count == 1)
        #expect(!life(.pending, delivery: 1, [failed(1)]).isChanged)
    }

    @Test func whoSaysFailedAfterResolvedIsRight() {
        let life = life(.retrying, [resolved(2), failed(2)])
        #expect(life.state == .pending && life.history.map(\.action) == ["resolved", "reopened"])
        #expect(self.life(.discarded, [failed(3)]).state == .pending)
    }

    @Test(arguments: [LetterState.pending, .retrying, .discarded])
    func resolvedEndsAnyState(_ state: LetterState) {
        for count in [Int32?.none, 1, 2, 9] {
            let life = life(state, [resolved(count)])
            #expect(life.state == .resolved && life.frees == .resolved && life.due == .never)
            #expect(!life.isDiscardOpen)
            #expect(life.delivery == max(2, count ?? 2))
        }
    }

    @Test func discards() {
        let confirmed = life(.discarded, [discarded(2)])
        #expect(confirmed.state == .discarded && confirmed.frees == .discarded)
        #expect(confirmed.history.map(\.action) == ["discard_confirmed"])
        #expect(!confirmed.isDiscardOpen && !confirmed.isRowForgotten)
        #expect(life(.discarded, [discarded(2), discarded(2)]).history.count == 1)
        // This consumer deletes the row of an event that it discards.
        let forgotten = life(.discarded, [discarded(2, isRowKept: false)])
        #expect(!forgotten.isDiscardOpen && forgotten.isRowForgotten)
        // The consumer repeats its answer to an earlier discard.
        #expect(life(.discarded, [discarded(2, isRowKept: false), discarded(2)]).isRowForgotten == false)
        // A late failure has reopened the letter. The discard comes even later.
        #expect(life(.pending, [discarded(3)]).state == .discarded)
        #expect(life(.pending, [discarded(nil)]).state == .discarded)
        // The letter has been restored since the discard.
        let restored = life(.pending, [discarded(2)])
        #expect(restored.state == .pending && restored.frees == nil && restored.history.count == 1)
        #expect(life(.retrying, delivery: 3, [discarded(2)]).state == .retrying)
        #expect(life(.resolved, [discarded(2)]).state == .resolved)
    }

    @Test func newLetters() {
        var random = SystemRandomNumberGenerator()
        let failed = LetterLife(plainLetter(errorClass: "sql_1"), policies: policies, using: &random)
        guard case .after(let delay) = failed.due else {
            Issue.record("no policy")
            return
        }
        #expect((500...1_000).contains(delay) && failed.frees == nil)
        let blocked = LetterLife(plainLetter(.blocked), policies: policies, using: &random)
        #expect(blocked.due == .never && blocked.frees == .alone)
        var foreign = plainLetter(errorClass: "sql_1")
        foreign.dialect = .connect
        #expect(LetterLife(foreign, policies: policies, using: &random).due == .never)
    }

    /// Answers to deliveries may be repeated and mixed in any order. In the end, the answer to the last delivery
    /// counts.
    @Test func anyOrderOfDuplicatesEndsTheSame() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            // Three deliveries failed and the fourth was applied. The handler sent each one only after the answer to
            // the previous one.
            var life = LetterLife(plainLetter(), policies: policies, using: &random)
            var seen: [LetterNotice] = [failed(1)]
            for delivery in Int32(2)...4 {
                life = LetterLife(
                    state: .retrying, reason: life.reason, attempts: life.attempts, delivery: delivery,
                    errorClass: life.errorClass, fingerprint: life.fingerprint, firstErrorClass: life.firstErrorClass)
                let answer = delivery == 4 ? resolved(delivery) : failed(delivery)
                for notice in seen.shuffled(using: &random).prefix(2) + [answer] + seen.shuffled(using: &random) {
                    life.receive(notice, policies: policies, using: &random)
                }
                seen.append(answer)
            }
            #expect(life.state == .resolved && life.attempts == 2)
        }
    }
}
