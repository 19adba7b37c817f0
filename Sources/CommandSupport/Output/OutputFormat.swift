internal import ArgumentParser

/// The format of results.
package enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    /// A table of text.
    case table
    /// One JSON value.
    case json
    /// One JSON object in each line.
    case jsonl
}
