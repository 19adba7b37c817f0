package import Testing

/// Looks at a condition again and again until it holds; the one place in the tests where time passes unused.
///
/// - Parameter condition: may be looked at any number of times.
/// - Throws: ``DeadlinePassed`` when the condition did not hold in time; what the condition throws.
package func eventually(
    sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + DeadlinePassed.limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw DeadlinePassed(place: sourceLocation) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A condition that ``eventually(sourceLocation:_:)`` waited for did not come true.
package struct DeadlinePassed: Error, CustomStringConvertible {
    /// The same for all: it only ends a test that hangs, and must be no measure of how busy the machine is.
    package static let limit = Duration.seconds(120)

    package let place: SourceLocation

    package var description: String { "\(place): the condition did not hold within \(Self.limit)" }
}
