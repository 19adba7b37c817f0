public import Settings

extension SectionReader {
    /// Reports the problems from a feature's own `validate()`. Their texts begin with the name of a property
    /// (`idlePollMs: must …`), which is converted to the name of the setting.
    ///
    /// - Parameters:
    ///   - problems: the problems of the feature's configuration.
    ///   - inner: the sections within this one, by the prefixes of their properties.
    public func reject(_ problems: [String], inner: [String: SectionReader] = [:]) {
        for problem in problems {
            let name = problem.prefix { $0 != ":" && $0 != " " }
            let text = asSettings(problem.dropFirst(name.count).drop { $0 == ":" || $0 == " " })
            let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
            if parts.count == 2, let section = inner[parts[0]], section.declares(snakeCase(parts[1])) {
                section.reject(snakeCase(parts[1]), text)
            } else if declares(snakeCase(String(name))) {
                reject(snakeCase(String(name)), text)
            } else {
                reject(problem)
            }
        }
    }

    /// Converts names of properties within a text to names of settings, as in `must not be less than busyPollMs`.
    private func asSettings(_ text: Substring) -> String {
        text.split(separator: " ", omittingEmptySubsequences: false)
            .map { word in
                let setting = snakeCase(String(word))
                return setting != word && declares(setting) ? setting : String(word)
            }
            .joined(separator: " ")
    }
}

/// Converts `maxInFlightRows` to `max_in_flight_rows`.
func snakeCase(_ name: String) -> String {
    var result = ""
    var previousIsUpper = true
    for character in name {
        if character.isUppercase, !previousIsUpper { result.append("_") }
        result += character.lowercased()
        previousIsUpper = character.isUppercase
    }
    return result
}
