internal import CRDKafka
internal import Foundation

/// A question to the cluster that is put again while the answer is an error that passes: brokers give such answers
/// while a topic is new, and while partitions change their leaders.
struct PersistentQuestion {
    private let deadline: ContinuousClock.Instant
    private static let pause = Duration.milliseconds(100)

    /// - Parameter timeoutMs: milliseconds in which to ask again.
    init(timeoutMs: Int32) {
        deadline = .now + .milliseconds(timeoutMs)
    }

    /// - Parameter call: asks once; gets the milliseconds that are left.
    /// - Throws: an error that does not pass, at once; and the last one when the time is over.
    func ask<Value>(_ call: (_ remainingMs: Int32) throws(KafkaError) -> Value) throws(KafkaError) -> Value {
        while true {
            do throws(KafkaError) {
                let remaining = (deadline - .now) / .milliseconds(1)
                return try call(max(1, Int32(clamping: Int64(remaining))))
            } catch {
                guard error.isRetriable, !error.isClosed, .now + Self.pause < deadline else { throw error }
                Thread.sleep(forTimeInterval: Self.pause / .seconds(1))
            }
        }
    }
}
