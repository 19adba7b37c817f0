internal import Foundation

/// Limits the number of tests that use servers at the same time. Swift Testing starts all tests of the process
/// together. Without a limit, hundreds of them would share two processors and the server's connections, and would miss
/// every deadline.
public enum TestSlots {
    /// Tests wait a lot, so several share a processor. All share one PostgreSQL server and its connections.
    private static let slots = Slots(count: min(4 * max(ProcessInfo.processInfo.activeProcessorCount, 2), 16))
    @TaskLocal private static var isHeld = false

    /// Runs `body` when slots are free. Inside the `body` of another call it runs at once, because a test needs its
    /// slots only once, for any number of schemas, topics and servers.
    ///
    /// - Parameter count: 1, or more for a test that keeps a processor busy by itself (all daemons and a load).
    public static func hold<Result>(_ count: Int = 1, _ body: () async throws -> Result) async throws -> Result {
        if isHeld { return try await body() }
        await slots.take(count)
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await $isHeld.withValue(true) { try await body() })
        } catch {
            result = .failure(error)
        }
        await slots.give(count)
        return try result.get()
    }
}

/// A counting semaphore that serves in order, so that a test that needs many slots is not delayed for ever.
private actor Slots {
    private var free: Int
    private var waiting: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

    init(count: Int) {
        free = count
    }

    func take(_ count: Int) async {
        if waiting.isEmpty, free >= count {
            free -= count
        } else {
            await withCheckedContinuation { waiting.append((count, $0)) }
        }
    }

    func give(_ count: Int) {
        free += count
        while let first = waiting.first, free >= first.count {
            free -= first.count
            waiting.removeFirst().continuation.resume()
        }
    }
}
