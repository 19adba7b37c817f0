/// How many tests may use servers at once. Swift Testing starts all tests of the process together; without a limit
/// hundreds of them would share two processors and the server's connections, and every deadline would be missed.
public enum TestSlots {
    private static let slots = Slots(count: 6)
    @TaskLocal private static var isHeld = false

    /// Runs `body` when a slot is free. Within another call's `body` it runs at once: a test needs one slot, however
    /// many schemas, topics and servers it uses.
    public static func hold<Result>(_ body: () async throws -> Result) async throws -> Result {
        if isHeld { return try await body() }
        await slots.take()
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await $isHeld.withValue(true) { try await body() })
        } catch {
            result = .failure(error)
        }
        await slots.give()
        return try result.get()
    }
}

/// A counting semaphore that serves in order.
private actor Slots {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(count: Int) {
        free = count
    }

    func take() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func give() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
