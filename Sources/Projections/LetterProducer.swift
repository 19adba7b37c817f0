internal import Kafka
internal import Letters
internal import StreamCore
internal import Synchronization

/// Letters were not acknowledged: their transaction must not commit.
enum LetterError: Error, CustomStringConvertible {
    case refused(KafkaError, topic: String)
    case late(topic: String, milliseconds: Int)
    /// Refused for good even without anything of its record.
    case unacceptable(topic: String)

    var description: String {
        switch self {
        case .refused(let error, let topic): "the letters for \(topic) were not delivered: \(error)"
        case .late(let topic, let milliseconds):
            "the letters for \(topic) were not acknowledged within \(milliseconds) ms"
        case .unacceptable(let topic):
            """
            the broker takes no letter in \(topic), not even one without anything of its record: look at the topic's \
            max.message.bytes and at its rules
            """
        }
    }
}

/// A letter that Kafka did not take, to try again whether it does. When it does, the letter comes twice: its
/// transaction writes it once more, and the handler knows it by its origin.
struct UndeliveredLetter: Sendable {
    let letter: Letter
    let producer: LetterProducer

    /// - Returns: why Kafka still does not take it; nil when Kafka does, or refuses it for what it is, or when only
    ///   another producer can tell.
    func deliver() async -> LetterError? {
        guard !producer.isUseless else { return nil }
        do throws(LetterError) {
            _ = try await producer.deliver([letter])
            return nil
        } catch {
            return error
        }
    }
}

/// Produces letters and waits until Kafka has acknowledged all of them. One call at a time.
final class LetterProducer: Sendable {
    private let producer: Producer
    private let sender: LetterSender
    private let flight = LetterFlight()

    /// Letters are few, and each is waited for.
    private static func defaults(_ route: DeadLetterRoute) -> [String: String] {
        [
            "linger.ms": "0",
            "queue.buffering.max.kbytes": "65536",
            "message.timeout.ms": "\(route.letterTimeoutMs)",
            // A topic that is just being made is waited for, one that is not there is told as such.
            "topic.metadata.propagation.max.ms": "\(max(1, route.letterTimeoutMs / 2))",
        ]
    }

    init(_ kafka: KafkaClientConfiguration, _ sender: LetterSender) throws(KafkaError) {
        var kafka = kafka
        kafka.properties.merge(Self.defaults(sender.route)) { given, _ in given }
        kafka.properties.merge(sender.route.producerProperties) { _, given in given }
        self.sender = sender
        producer = try Producer(kafka) { [flight] reports in flight.reported(reports) }
    }

    /// It has failed in a way that only a new one gets over.
    var isUseless: Bool { producer.fatalError != nil }

    func close() async {
        await producer.close(timeoutMs: 1_000)
    }

    /// - Returns: the indexes of those letters that the broker does not take as they are, for their size as a rule; all
    ///   others are acknowledged.
    /// - Throws: ``LetterError`` when others are not; some may be there all the same.
    func deliver(_ letters: [Letter]) async throws(LetterError) -> [Int] {
        let refused = try await deliver(letters, Array(letters.indices))
        if letters.count == 1 { return refused }
        // A broker refuses a batch for one of its records: what is refused alone is too large itself.
        var unacceptable: [Int] = []
        for index in refused { unacceptable += try await deliver(letters, [index]) }
        return unacceptable
    }

    private func deliver(_ letters: [Letter], _ indexes: [Int]) async throws(LetterError) -> [Int] {
        let deadline = ContinuousClock.now + .milliseconds(sender.route.letterTimeoutMs)
        let first = flight.begin(indexes.count)
        for index in indexes {
            do throws(KafkaError) {
                try await produce(letters[index], tag: first | UInt64(index), until: deadline)
            } catch {
                flight.ended(first | UInt64(index), error)
            }
        }
        let outcome = await withTaskGroup(of: Void.self) { [flight] group in
            group.addTask { await flight.wait() }
            group.addTask {
                // Ends early when the run is over, and so does the waiting then.
                try? await Task.sleep(until: deadline)
                flight.giveUp()
            }
            await group.next()
            group.cancelAll()
            return flight.outcome
        }
        if let error = outcome.error {
            // What is still on its way would only come twice.
            producer.purge()
            throw .refused(error, topic: sender.route.letterTopic)
        }
        guard outcome.isComplete else {
            producer.purge()
            throw .late(topic: sender.route.letterTopic, milliseconds: sender.route.letterTimeoutMs)
        }
        return outcome.unacceptable
    }

    private func produce(
        _ letter: Letter, tag: UInt64, until deadline: ContinuousClock.Instant
    ) async throws(KafkaError) {
        while true {
            do throws(KafkaError) {
                let hasValue = letter.reason.carriesRecord && letter.kept < .value
                let standIn = letter.standInKey
                try producer.produce(
                    topic: sender.route.letterTopic, key: letter.kept == .record ? standIn.span : letter.record?.key,
                    value: hasValue ? letter.record?.value : nil, headers: sender.headers(of: letter), tag: tag)
                return
            } catch {
                // With nothing in the queue, there will never be more room than now.
                guard error.isQueueFull, producer.outstanding > 0 else { throw error }
                if ContinuousClock.now >= deadline || Task.isCancelled { return flight.giveUp() }
                await producer.waitForSpace()
            }
        }
    }
}

/// What became of the letters under way. Reports come on the producer's thread.
final class LetterFlight: Sendable {
    struct Outcome: Sendable {
        var unacceptable: [Int] = []
        var error: KafkaError?
        var isComplete = false
    }

    private struct State {
        /// The upper half of the tags, so that reports of letters given up are known as such.
        var generation: UInt64 = 0
        var outstanding = 0
        var outcome = Outcome()
        var isGivenUp = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    var outcome: Outcome { state.withLock { $0.outcome } }

    /// - Returns: what the tags of these letters begin with.
    func begin(_ count: Int) -> UInt64 {
        state.withLock { state in
            state.generation += 1
            state.outstanding = count
            state.outcome = Outcome(isComplete: count == 0)
            state.isGivenUp = false
            return (state.generation & 0x7FFF_FFFF) << 32
        }
    }

    func reported(_ reports: [DeliveryReport]) {
        for report in reports { ended(report.tag, report.error) }
    }

    func ended(_ tag: UInt64, _ error: KafkaError?) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard tag >> 32 == state.generation & 0x7FFF_FFFF, state.outstanding > 0 else { return nil }
            if let error {
                if Self.isAboutLetter(error) {
                    state.outcome.unacceptable.append(Int(tag & 0xFFFF_FFFF))
                } else {
                    state.outcome.error = error
                }
            }
            state.outstanding -= 1
            guard state.outstanding == 0 else { return nil }
            state.outcome.isComplete = true
            return state.waiter.take()
        }
        waiter?.resume()
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.outcome.isComplete || state.isGivenUp { return true }
                state.waiter = continuation
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    func giveUp() {
        let waiter = state.withLock { state in
            state.isGivenUp = true
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Refused for what it is: for its size (by the client, by the broker, or as more than the client's whole queue),
    /// or by a rule of the topic.
    private static func isAboutLetter(_ error: KafkaError) -> Bool { error.isQueueFull || error.kind == .permanent }
}
