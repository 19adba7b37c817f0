package import Testing

/// Looks at a condition again and again until it holds; the one place in the tests where time passes unused.
///
/// Records a failure when the condition does not hold within the time.
///
/// - Parameters:
///   - limit: how long to go on looking.
///   - condition: may be looked at any number of times.
/// - Throws: what the condition throws.
package func eventually(
    within limit: Duration = .seconds(10), _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record(comment ?? "the condition did not hold within \(limit)", sourceLocation: sourceLocation)
            throw DeadlinePassed(limit: limit)
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A condition of ``eventually(within:_:sourceLocation:_:)`` did not come true.
package struct DeadlinePassed: Error {
    package let limit: Duration
}
