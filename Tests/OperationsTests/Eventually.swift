/// Waits until `condition` holds, looking every millisecond; after thirty seconds the test fails.
func eventually(_ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw DeadlinePassed() }
        try await Task.sleep(for: .milliseconds(1))
    }
}

struct DeadlinePassed: Error {}
