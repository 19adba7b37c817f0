internal import CRDKafka
internal import Foundation

/// A request to the cluster that is repeated while it fails temporarily. Brokers return such errors while a topic is
/// new, and while partitions change their leaders.
struct PersistentQuestion {
    private let deadline: ContinuousClock.Instant
    private static let pause = Duration.milliseconds(100)

    /// - Parameter timeoutMs: maximum time for all attempts in milliseconds.
    init(timeoutMs: Int32) {
        deadline = .now + .milliseconds(timeoutMs)
    }

    /// - Parameter call: sends the request once; receives the remaining milliseconds.
    /// - Throws: a permanent error at once; the last temporary error after the timeout.
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
