internal import ArgumentParser

/// A duration on the command line: `250ms`, `30s`, `5m`, `2h`, or a number of seconds.
package struct DurationArgument: ExpressibleByArgument {
    package let duration: Duration

    package init(_ duration: Duration) {
        self.duration = duration
    }

    package init?(argument: String) {
        let units: [(suffix: String, seconds: Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3_600)]
        let unit = units.first { argument.hasSuffix($0.suffix) }
        let digits = argument.dropLast(unit?.suffix.count ?? 0)
        guard let number = Double(digits), number.isFinite, (0...1e9).contains(number) else { return nil }
        duration = .seconds(number * (unit?.seconds ?? 1))
    }

    package var defaultValueDescription: String { "\(duration / .seconds(1))s" }
}
