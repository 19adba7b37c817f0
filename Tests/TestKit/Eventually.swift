public import Testing

/// Checks a condition repeatedly until it holds. This is the only place in the tests that waits for time to pass.
///
/// - Parameter condition: called any number of times.
/// - Throws: ``DeadlinePassed`` if the condition did not hold in time; the errors of the condition.
public func eventually(
    sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    let start = ContinuousClock.now
    while try await !condition() {
        let waited = ContinuousClock.now - start
        guard waited < DeadlinePassed.limit else { throw DeadlinePassed(place: sourceLocation) }
        // Conditions ask servers. The longer the wait, the rarer the question, so that waiting tests leave the
        // processors to the others.
        try await Task.sleep(for: min(max(waited / 10, .milliseconds(5)), .milliseconds(50)))
    }
}

/// Runs a part of a test that might never end. If it takes too long, the function calls `end`, which must make it end,
/// and the test fails. The time starts with the call. A time limit of the test itself would also count its wait for a
/// slot.
public func withDeadline(
    endingBy end: @escaping @Sendable () -> Void, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async throws {
    try await withThrowingTaskGroup { group in
        group.addTask {
            do { try await Task.sleep(for: DeadlinePassed.limit) } catch { return }
            end()
            throw DeadlinePassed(place: sourceLocation)
        }
        try await body()
        group.cancelAll()
        try await group.waitForAll()
    }
}

/// A condition that ``eventually(sourceLocation:_:)`` waited for did not become true.
public struct DeadlinePassed: Error, CustomStringConvertible {
    /// The limit is the same for all tests. It only ends a test that hangs, so it must not depend on how busy the
    /// machine is.
    public static let limit = Duration.seconds(300)

    public let place: SourceLocation

    public init(place: SourceLocation) {
        self.place = place
    }

    public var description: String { "\(place): the condition did not hold within \(Self.limit)" }
}
