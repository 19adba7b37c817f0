public import Testing

/// Looks at a condition again and again until it holds; the one place in the tests where time passes unused.
///
/// - Parameter condition: may be looked at any number of times.
/// - Throws: ``DeadlinePassed`` when the condition did not hold in time; what the condition throws.
public func eventually(
    sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + DeadlinePassed.limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw DeadlinePassed(place: sourceLocation) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Runs a part of a test that might never end. When it takes too long, `end` is called, which must make it end, and
/// the test fails. The time begins with the call: a time limit of the test itself would count its wait for a slot, too.
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

/// A condition that ``eventually(sourceLocation:_:)`` waited for did not come true.
public struct DeadlinePassed: Error, CustomStringConvertible {
    /// The same for all: it only ends a test that hangs, and must be no measure of how busy the machine is.
    public static let limit = Duration.seconds(300)

    public let place: SourceLocation

    public init(place: SourceLocation) {
        self.place = place
    }

    public var description: String { "\(place): the condition did not hold within \(Self.limit)" }
}
