/// Declares and reads the settings of one section.
///
/// Every method takes a `documentation`: one or two sentences that the default file shows above the setting. The last
/// word of a key names its unit (`linger_ms`, `max_bytes`). The reader adds the range, the unit and the choices to the
/// text.
public struct SectionReader {
    let reader: SettingsReader
    let name: String
    let index: Int

    // MARK: text

    /// - Parameter check: says what is wrong with a value, or nil.
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

    /// A setting without which the program cannot start.
    ///
    /// - Parameter example: what the default file shows.
    /// - Returns: the empty string when it is not set; then the problem is noted.
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

    /// - Returns: nil when it is not set.
    public func optionalString(
        _ key: String, example: String, _ documentation: String, check: (String) -> String? = { _ in nil }
    ) -> String? {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.exampleText = TOMLText.string(example)
        return read(setting, show: TOMLText.string) { value throws(Rejection) in
            try value.string(check: check)
        }
    }

    /// A required `scheme://…`, whose password is never shown. By `--set` it may have none.
    ///
    /// - Parameter password: the setting of this section that holds the password instead.
    public func requiredURL(
        _ key: String, schemes: [String], example: String, environment: String? = nil, password: String,
        _ documentation: String
    ) -> String {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.exampleText = TOMLText.string(example)
        setting.isRequired = true
        setting.environmentName = environment
        let found = reader.value(of: setting, in: name)
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

    /// A list of strings; from the environment and `--set`, separated by commas.
    public func strings(_ key: String, default defaultValue: [String], _ documentation: String) -> [String] {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.defaultText = TOMLText.strings(defaultValue)
        return read(setting, show: TOMLText.strings) { value throws(Rejection) in
            try value.strings()
        } ?? defaultValue
    }

    /// One of a few words.
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

    /// The unit that the last word of a key names, after a space; empty if it names none.
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

    /// A password or the like. In files and by `--set` only as a reference, `{ file = "…" }` or `{ env = "…" }`;
    /// the environment may hold it itself.
    ///
    /// - Parameter example: the name of a file that the default file shows.
    public func secret(_ key: String, example: String, _ documentation: String) -> Secret? {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.exampleText = "{ file = \(TOMLText.string(example)) }"
        guard let found = reader.value(of: setting, in: name) else {
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

    /// Files that hold secrets, which the program itself reads: a list of paths. A relative one is looked for where a
    /// reference `{ file = "…" }` is: in `$CREDENTIALS_DIRECTORY`, else beside the file that names it. Those that other
    /// users can read are warned of.
    public func secretFiles(_ key: String, _ documentation: String) -> [String] {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.defaultText = TOMLText.strings([])
        let origin = reader.value(of: setting, in: name)?.origin ?? .defaultValue
        let names = read(setting, show: TOMLText.strings) { value throws(Rejection) in try value.strings() } ?? []
        return names.map { reader.file($0, isSecret: true, namedAt: origin) }
    }

    /// A file that the program itself reads; a relative path is looked for like those of ``secretFiles(_:_:)``.
    ///
    /// - Parameter isSecret: warn of it when other users can read it.
    /// - Returns: its path; empty when there is none.
    public func file(_ key: String, isSecret: Bool, _ documentation: String) -> String {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.defaultText = TOMLText.string("")
        let origin = reader.value(of: setting, in: name)?.origin ?? .defaultValue
        let path =
            read(setting, show: TOMLText.string) { value throws(Rejection) in try value.string { _ in nil } } ?? ""
        return path.isEmpty ? "" : reader.file(path, isSecret: isSecret, namedAt: origin)
    }

    /// A table of free keys and texts, `[section.key]`: those of all layers together. Keys with dots may be quoted or
    /// nested, `"a.b" = 1` is `a.b = 1`. Numbers and booleans become text, references to secrets are resolved. By
    /// `--set` a value that is a secret by its name is given as a reference only.
    ///
    /// - Parameters:
    ///   - underscoreIsDot: what `_` stands for in the name of a variable, which cannot hold a dot: a dot where keys
    ///     have no underscores, otherwise itself, and then `__` is a dot.
    ///   - check: says what is wrong with a key, or nil.
    public func properties(
        _ key: String, underscoreIsDot: Bool, examples: [(key: String, value: String)], _ documentation: String,
        check: (String) -> String? = { _ in nil }
    ) -> [String: String] {
        var setting = DeclaredSetting(key: key, documentation: documentation)
        setting.isTable = true
        setting.exampleText = examples.map { "\(TOMLText.key($0.key)) = \($0.value)" }.joined(separator: "\n")
        var entries: [String: (text: String, origin: Origin, isSecret: Bool)] = [:]
        for layer in reader.layers {
            guard let found = layer.value(at: reader.path(of: name) + [key]) else { continue }
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
                    let (text, isSecret) = try property.text(reader)
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

    /// Notes a problem that no single value has, at the place where `key` was set.
    ///
    /// - Parameter key: a setting of this section that was declared before.
    public func reject(_ key: String, _ problem: String) {
        let setting = reader.sections[index].settings.first { $0.key == key }
        precondition(setting != nil, "\(name).\(key) is not declared")
        report(Rejection(text: problem), about: key, at: setting?.origin ?? .defaultValue)
    }

    /// Notes a problem with the section as a whole.
    public func reject(_ problem: String) {
        reader.report(SettingsProblem(origin: nil, key: name, text: problem))
    }

    /// Whether a setting was declared in this section.
    public func declares(_ key: String) -> Bool {
        reader.sections[index].settings.contains { $0.key == key }
    }

    /// The same, for one entry of a table of ``properties(_:examples:_:check:)``.
    public func reject(_ key: String, entry: String, _ problem: String) {
        let setting = reader.sections[index].settings.first { $0.key == key }
        let origin = setting?.shownEntries.first { $0.key == entry }?.origin
        report(Rejection(text: problem), about: "\(key).\(entry)", at: origin ?? .defaultValue)
    }

    // MARK: the common way

    private func read<Value>(
        _ declared: DeclaredSetting, show: (Value) -> String, parse: (SettingValue) throws(Rejection) -> Value
    ) -> Value? {
        var setting = declared
        setting.shownText = setting.defaultText
        defer { declare(setting) }
        guard let found = reader.value(of: setting, in: name) else {
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
