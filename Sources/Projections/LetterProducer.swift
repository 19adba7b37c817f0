internal import Kafka
internal import Letters
internal import StreamCore
internal import Synchronization

/// Letters were not acknowledged, so their transaction must not commit.
enum LetterError: Error, CustomStringConvertible {
    case refused(KafkaError, topic: String)
    case late(topic: String, milliseconds: Int)
    /// The broker permanently refuses the letter even without any part of its record.
    case unacceptable(topic: String)

    var description: String {
        switch self {
        case .refused(let error, let topic): "the letters for \(topic) were not delivered: \(error)"
        case .late(let topic, let milliseconds):
            "the letters for \(topic) were not acknowledged within \(milliseconds) ms"
        case .unacceptable(let topic):
            """
            the broker accepts no letter in \(topic), not even one without any part of its record: check the topic's \
            max.message.bytes and its rules
            """
        }
    }
}

/// A letter that Kafka did not accept, to find out when Kafka accepts it again. If it does, the letter is written
/// twice, because its transaction writes it again. The handler recognizes it by its origin.
struct UndeliveredLetter: Sendable {
    let letter: Letter
    let producer: LetterProducer

    /// Tries to deliver the letter.
    ///
    /// - Returns: why Kafka still does not accept it; nil if Kafka accepts it, refuses it because of its content, or
    ///   only a new producer can tell.
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

/// Produces letters and waits until Kafka has acknowledged all of them. Only one call may be active at a time.
final class LetterProducer: Sendable {
    private let producer: Producer
    private let sender: LetterSender
    private let flight = LetterFlight()

    /// The settings for few letters, each of which is waited for.
    private static func defaults(_ route: DeadLetterRoute) -> [String: String] {
        [
            "linger.ms": "0",
            "queue.buffering.max.kbytes": "65536",
            "message.timeout.ms": "\(route.letterTimeoutMs)",
            // The producer waits for a topic that is being created, and reports a topic that does not exist.
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

    /// Whether the producer has a fatal error, so that a new one is needed.
    var isUseless: Bool { producer.fatalError != nil }

    func close() async {
        await producer.close(timeoutMs: 1_000)
    }

    /// Delivers letters.
    ///
    /// - Returns: the indexes of the letters that the broker does not accept as they are, usually because of their
    ///   size. All others are acknowledged.
    /// - Throws: ``LetterError`` if others are not acknowledged. Some of them may be in Kafka nevertheless.
    func deliver(_ letters: [Letter]) async throws(LetterError) -> [Int] {
        let refused = try await deliver(letters, Array(letters.indices))
        if letters.count == 1 { return refused }
        // A broker refuses a batch because of one record. Only a letter that is refused alone is itself too large.
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
                // The sleep ends early when the run ends, which also ends the wait.
                try? await Task.sleep(until: deadline)
                flight.giveUp()
            }
            await group.next()
            group.cancelAll()
            return flight.outcome
        }
        if let error = outcome.error {
            // Letters that are still in the queue would only be written twice.
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
                // If nothing is in the queue, there will never be more space.
                guard error.isQueueFull, producer.outstanding > 0 else { throw error }
                if ContinuousClock.now >= deadline || Task.isCancelled { return flight.giveUp() }
                await producer.waitForSpace()
            }
        }
    }
}

/// The results of the letters that were sent. Reports arrive on the producer's thread.
final class LetterFlight: Sendable {
    struct Outcome: Sendable {
        var unacceptable: [Int] = []
        var error: KafkaError?
        var isComplete = false
    }

    private struct State {
        /// The upper half of the tags. It identifies reports about letters of earlier calls.
        var generation: UInt64 = 0
        var outstanding = 0
        var outcome = Outcome()
        var isGivenUp = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    var outcome: Outcome { state.withLock { $0.outcome } }

    /// Begins a call with `count` letters.
    ///
    /// - Returns: the upper half of the tags of these letters.
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

    /// Whether the letter itself is the reason: it is too large for the client, the broker or the client's queue, or it
    /// violates a rule of the topic.
    private static func isAboutLetter(_ error: KafkaError) -> Bool { error.isQueueFull || error.kind == .permanent }
}
