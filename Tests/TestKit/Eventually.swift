package import Testing

/// Looks at a condition again and again until it holds; the one place in the tests where time passes unused.
///
/// - Parameters:
///   - limit: how long to go on looking.
///   - condition: may be looked at any number of times.
/// - Throws: ``DeadlinePassed`` when the condition did not hold in time; what the condition throws.
package func eventually(
    within limit: Duration = .seconds(15), sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw DeadlinePassed(limit: limit, place: sourceLocation) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A condition that ``eventually(within:sourceLocation:_:)`` waited for did not come true.
package struct DeadlinePassed: Error, CustomStringConvertible {
    package let limit: Duration
    package let place: SourceLocation

    package var description: String { "\(place): the condition did not hold within \(limit)" }
}
