/// Declares and reads the settings of one section.
///
/// Every method takes a `documentation`: one or two sentences that the default file shows above the setting. The last
/// word of a key names its unit (`linger_ms`, `max_bytes`). The reader adds the range, the unit and the choices to the
/// text.
public struct SectionReader {
    let reader: SettingsReader
    let name: String
    /// The keys of the tables that lead to the section.
    let path: [String]
    let index: Int

    // MARK: text

    /// Reads a string.
    ///
    /// - Parameter check: returns what is wrong with a value, or nil.
    public func string(
        _ key: String, default defaultValue: String, environment: String? = nil, _ documentation: String,
        check: (String) -> String? = { _ in nil }
    ) -> String {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.defaultText = TOMLText.string(defaultValue)
        setting.environmentName = environment
        return read(setting, show: TOMLText.string) { value throws(Rejection) in
            try value.string(check: check)
        } ?? defaultValue
    }

    /// Reads a string without which the program cannot start.
    ///
    /// - Parameter example: the value in the default file.
    /// - Returns: the empty string if it is not set. The problem is then reported.
    public func requiredString(
        _ key: String, example: String, environment: String? = nil, _ documentation: String,
        check: (String) -> String? = { _ in nil }
    ) -> String {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.exampleText = TOMLText.string(example)
        setting.isRequired = true
        setting.environmentName = environment
        return read(setting, show: TOMLText.string) { value throws(Rejection) in
            try value.string { $0.isEmpty ? "must not be empty" : check($0) }
        } ?? ""
    }

    /// Reads a string that has no default.
    ///
    /// - Returns: nil if it is not set.
    public func optionalString(
        _ key: String, example: String, _ documentation: String, check: (String) -> String? = { _ in nil }
    ) -> String? {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.exampleText = TOMLText.string(example)
        return read(setting, show: TOMLText.string) { value throws(Rejection) in
            try value.string(check: check)
        }
    }

    /// Reads a required URL (`scheme://…`), whose password is never shown. In `--set` it must not have a password.
    ///
    /// - Parameter password: the setting of this section that contains the password instead.
    public func requiredURL(
        _ key: String, schemes: [String], example: String, environment: String? = nil, password: String,
        _ documentation: String
    ) -> String {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.exampleText = TOMLText.string(example)
        setting.isRequired = true
        setting.environmentName = environment
        let found = reader.value(of: setting, at: path)
        let isOnCommandLine = if case .commandLine? = found?.origin { true } else { false }
        let variable = environment ?? setting.variable(in: name)
        return read(setting, show: { TOMLText.string(withoutPassword(url: $0)) }) { value throws(Rejection) in
            try value.string { url in
                if isOnCommandLine && SecretText.isInURL(url) {
                    return """
                        other users can read passwords on a command line; remove it and set \
                        \(name).\(password).file or \(name).\(password).env, or set the whole URL as \(variable)
                        """
                }
                return schemes.contains { url.hasPrefix($0 + "://") }
                    ? nil : "must begin with " + schemes.map { "\($0)://" }.joined(separator: " or ")
            }
        } ?? ""
    }

    /// Reads a list of strings. In the environment and in `--set` they are separated by commas.
    public func strings(_ key: String, default defaultValue: [String], _ documentation: String) -> [String] {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.defaultText = TOMLText.strings(defaultValue)
        return read(setting, show: TOMLText.strings) { value throws(Rejection) in
            try value.strings()
        } ?? defaultValue
    }

    /// Reads one of several words.
    public func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default defaultValue: Choice, _ documentation: String
    ) -> Choice where Choice.RawValue == String {
        let words = Choice.allCases.map(\.rawValue)
        var setting = DeclaredSetting(
            key: key, documentation: documentation + " One of: " + words.joined(separator: ", ") + ".")
        setting.defaultText = TOMLText.string(defaultValue.rawValue)
        let read: Choice? = read(setting, show: { TOMLText.string($0.rawValue) }) { value throws(Rejection) in
            let word = try value.string { _ in nil }
            guard let choice = Choice(rawValue: word) else {
                throw Rejection(
                    text: "\"\(word)\" is not one of: \(words.joined(separator: ", "))",
                    suggestion: closestName(to: word, among: words))
            }
            return choice
        }
        return read ?? defaultValue
    }

    // MARK: numbers

    public func integer(
        _ key: String, default defaultValue: Int, in range: ClosedRange<Int>, _ documentation: String
    ) -> Int {
        precondition(range.contains(defaultValue), "the default of \(name).\(key) is out of its range")
        var setting = DeclaredSetting(
            key: key, documentation: documentation + " " + Self.sentence(for: range, unit: Self.unit(of: key)))
        setting.defaultText = TOMLText.integer(defaultValue)
        return read(setting, show: TOMLText.integer) { value throws(Rejection) in
            try value.integer(in: range)
        } ?? defaultValue
    }

    /// Reads a number, which may have a fraction.
    public func number(
        _ key: String, default defaultValue: Double, in range: ClosedRange<Double>, _ documentation: String
    ) -> Double {
        precondition(range.contains(defaultValue), "the default of \(name).\(key) is out of its range")
        var setting = DeclaredSetting(
            key: key, documentation: "\(documentation) Range: \(range.lowerBound) to \(range.upperBound).")
        setting.defaultText = String(defaultValue)
        return read(setting, show: String.init(_:)) { value throws(Rejection) in
            try value.number(in: range)
        } ?? defaultValue
    }

    public func boolean(_ key: String, default defaultValue: Bool, _ documentation: String) -> Bool {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.defaultText = String(defaultValue)
        return read(setting, show: String.init(_:)) { value throws(Rejection) in try value.boolean() } ?? defaultValue
    }

    private static func sentence(for range: ClosedRange<Int>, unit: String) -> String {
        range.upperBound == .max
            ? "Minimum: \(TOMLText.integer(range.lowerBound))\(unit)."
            : "Range: \(TOMLText.integer(range.lowerBound)) to \(TOMLText.integer(range.upperBound))\(unit)."
    }

    /// The unit that the last word of a key names, preceded by a space; empty if it names none.
    private static func unit(of key: String) -> String {
        switch key.split(separator: "_").last {
        case "ms": " milliseconds"
        case "s": " seconds"
        case "hours": " hours"
        case "days": " days"
        case "bytes": " bytes"
        default: ""
        }
    }

    // MARK: secrets and tables

    /// Reads a password or another secret. In files and in `--set` it must be a reference, `{ file = "…" }` or
    /// `{ env = "…" }`. The environment may contain the value itself.
    ///
    /// - Parameter example: the name of the file that the default file shows.
    public func secret(_ key: String, example: String, _ documentation: String) -> Secret? {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.exampleText = "{ file = \(TOMLText.string(example)) }"
        guard let found = reader.value(of: setting, at: path) else {
            declare(setting)
            return nil
        }
        setting.origin = found.origin
        setting.shownText = Secret.hidden
        declare(setting)
        do {
            return try reader.resolve(SecretReference(found))
        } catch {
            report(error, about: key, at: found.origin)
            return nil
        }
    }

    /// Reads a list of paths of files that contain secrets and that the program itself reads. A relative path is
    /// resolved like that of a reference `{ file = "…" }`: in `$CREDENTIALS_DIRECTORY`, or else beside the file that
    /// names it. If other users can read a file, a warning is reported.
    public func secretFiles(_ key: String, _ documentation: String) -> [String] {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.defaultText = TOMLText.strings([])
        let origin = reader.value(of: setting, at: path)?.origin ?? .defaultValue
        let names = read(setting, show: TOMLText.strings) { value throws(Rejection) in try value.strings() } ?? []
        return names.map { reader.file($0, isSecret: true, namedAt: origin) }
    }

    /// Reads the path of a file that the program itself reads. A relative path is resolved like those of
    /// ``secretFiles(_:_:)``.
    ///
    /// - Parameter isSecret: whether to warn if other users can read the file.
    /// - Returns: the path; empty if it is not set.
    public func file(_ key: String, isSecret: Bool, _ documentation: String) -> String {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.defaultText = TOMLText.string("")
        let origin = reader.value(of: setting, at: path)?.origin ?? .defaultValue
        let path =
            read(setting, show: TOMLText.string) { value throws(Rejection) in try value.string { _ in nil } } ?? ""
        return path.isEmpty ? "" : reader.file(path, isSecret: isSecret, namedAt: origin)
    }

    /// Reads a table of free keys and texts, `[section.key]`, and combines it from all layers. Keys with dots may be
    /// quoted or nested: `"a.b" = 1` equals `a.b = 1`. Numbers and booleans become text, and references to secrets are
    /// resolved. In `--set`, a value that is a secret by its name must be a reference.
    ///
    /// - Parameters:
    ///   - underscoreIsDot: the meaning of `_` in the name of an environment variable, which cannot contain a dot. If
    ///     true, it stands for a dot, for keys without underscores. If false, it stands for itself, and `__` stands for
    ///     a dot.
    ///   - areSecret: whether all values are secret, whatever their names.
    ///   - check: returns what is wrong with a key, or nil.
    public func properties(
        _ key: String, underscoreIsDot: Bool, areSecret: Bool = false, examples: [(key: String, value: String)],
        _ documentation: String, check: (String) -> String? = { _ in nil }
    ) -> [String: String] {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.isTable = true
        setting.exampleText = examples.map { "\(TOMLText.key($0.key)) = \($0.value)" }.joined(separator: "\n")
        var entries: [String: (text: String, origin: Origin, isSecret: Bool)] = [:]
        for layer in reader.layers {
            guard let found = layer.value(at: path + [key]) else { continue }
            guard case .table(let table) = found.value else {
                report(
                    Rejection(text: "expected a section, [\(name).\(key)], found \(found.value.kind)"), about: key,
                    at: found.origin)
                continue
            }
            for property in FlatProperty.flatten(table, underscoreIsDot: underscoreIsDot)
            where entries[property.name] == nil {
                let path = "\(key).\(property.name)"
                if let problem = check(property.name) {
                    report(Rejection(text: problem), about: path, at: property.value.origin)
                    continue
                }
                do {
                    let (text, isSecret) = try property.text(reader, isSecret: areSecret)
                    entries[property.name] = (text, property.value.origin, isSecret)
                } catch {
                    report(error, about: path, at: property.value.origin)
                }
            }
        }
        setting.shownEntries = entries.sorted { $0.key < $1.key }
            .map { ($0.key, $0.value.isSecret ? Secret.hidden : TOMLText.string($0.value.text), $0.value.origin) }
        declare(setting)
        return entries.mapValues(\.text)
    }

    // MARK: rules across settings

    /// Reports a problem that concerns several values, at the place where `key` was set.
    ///
    /// - Parameter key: a setting of this section that was declared before.
    public func reject(_ key: String, _ problem: String) {
        let setting = reader.sections[index].settings.first { $0.key == key }
        precondition(setting != nil, "\(name).\(key) is not declared")
        report(Rejection(text: problem), about: key, at: setting?.origin ?? .defaultValue)
    }

    /// Reports a problem of the whole section, at the place where it begins, if it was configured.
    public func reject(_ problem: String, suggestion: String? = nil) {
        let origin = reader.layers.lazy.compactMap { $0.value(at: path)?.origin }.first
        reader.report(SettingsProblem(origin: origin, key: name, text: problem, suggestion: suggestion))
    }

    /// Whether a setting that was declared before has a value that is not its default.
    public func isConfigured(_ key: String) -> Bool {
        guard let setting = reader.sections[index].settings.first(where: { $0.key == key }) else { return false }
        return if case .defaultValue = setting.origin { false } else { true }
    }

    /// Whether a setting was declared in this section.
    public func declares(_ key: String) -> Bool {
        reader.sections[index].settings.contains { $0.key == key }
    }

    /// Reports a problem with one entry of a table of ``properties(_:examples:_:check:)``.
    public func reject(_ key: String, entry: String, _ problem: String) {
        let setting = reader.sections[index].settings.first { $0.key == key }
        let origin = setting?.shownEntries.first { $0.key == entry }?.origin
        report(Rejection(text: problem), about: "\(key).\(entry)", at: origin ?? .defaultValue)
    }

    // MARK: reading and reporting

    private func read<Value>(
        _ declared: DeclaredSetting, show: (Value) -> String, parse: (SettingValue) throws(Rejection) -> Value
    ) -> Value? {
        var setting = declared
        setting.shownText = setting.defaultText
        defer { declare(setting) }
        guard let found = reader.value(of: setting, at: path) else {
            if setting.isRequired, !reader.isIncomplete { reportMissing(setting) }
            return nil
        }
        setting.origin = found.origin
        do {
            let value = try parse(found.value)
            setting.shownText = show(value)
            return value
        } catch {
            report(error, about: setting.key, at: found.origin)
            return nil
        }
    }

    private func declare(_ setting: DeclaredSetting) {
        let isNew = !reader.sections[index].settings.contains { $0.key == setting.key }
        precondition(isNew, "\(name).\(setting.key) is declared twice")
        reader.sections[index].settings.append(setting)
    }

    private func report(_ rejection: Rejection, about key: String, at origin: Origin) {
        reader.report(
            SettingsProblem(
                origin: origin, key: "\(name).\(key)", text: rejection.text, suggestion: rejection.suggestion))
    }

    private func reportMissing(_ setting: DeclaredSetting) {
        let variables = [setting.variable(in: name), setting.environmentName].compactMap(\.self)
        reader.report(
            SettingsProblem(
                origin: reader.sources.file.map { .file($0, nil) }, key: "\(name).\(setting.key)",
                text: "required, but not set here nor as \(variables.joined(separator: " or "))"))
    }
}
