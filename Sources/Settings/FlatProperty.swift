/// An entry of a table of properties. Its name is joined from the nested tables that TOML creates for unquoted dots.
struct FlatProperty {
    let name: String
    let value: LocatedValue
    /// A reference to a secret; nil if the entry has a value.
    let reference: [String: LocatedValue]?

    /// The entries of `table`, ordered by name.
    ///
    /// - Parameter underscoreIsDot: whether `_` in the name of an environment variable stands for a dot, which such a
    ///   name cannot contain.
    static func flatten(
        _ table: [String: LocatedValue], under prefix: String = "", underscoreIsDot: Bool
    ) -> [FlatProperty] {
        var properties: [FlatProperty] = []
        for (key, value) in table.sorted(by: { $0.key < $1.key }) {
            let isVariable = if case .environment = value.origin { true } else { false }
            let part = isVariable && underscoreIsDot ? key.map { $0 == "_" ? "." : String($0) }.joined() : key
            let name = prefix.isEmpty ? part : "\(prefix).\(part)"
            guard case .table(let inner) = value.value else {
                properties.append(FlatProperty(name: name, value: value, reference: nil))
                continue
            }
            if inner.count == 1, inner["file"] != nil || inner["env"] != nil {
                properties.append(FlatProperty(name: name, value: value, reference: inner))
            } else {
                properties += flatten(inner, under: name, underscoreIsDot: underscoreIsDot)
            }
        }
        return properties
    }

    /// The value as text, and whether it must be hidden.
    ///
    /// - Parameter isSecret: whether it is a secret, whatever its name.
    func text(_ reader: SettingsReader, isSecret: Bool) throws(Rejection) -> (String, isSecret: Bool) {
        if let reference {
            guard let secret = try SecretReference(reference, origin: value.origin) else {
                throw Rejection(text: "expected a value")
            }
            return (try reader.resolve(secret).reveal(), true)
        }
        let hidden = isSecret || Settings.isSecret(property: name)
        if hidden, case .commandLine(let key) = value.origin { throw SecretReference.onCommandLine(key) }
        switch value.value {
        case .text(let text), .string(let text): return (text, hidden)
        case .integer(let number): return (String(number), hidden)
        case .float(let number): return (String(number), hidden)
        case .boolean(let flag): return (String(flag), hidden)
        case .array, .date, .table: throw .expected("a string, a number or a boolean", found: value.value)
        }
    }
}
