/// A declared section with its settings, in order.
struct DeclaredSection: Sendable {
    /// The name in the file: `outer.inner`, or `outer."any name"` for a section with a free name.
    let name: String
    /// The keys of the tables that lead to it.
    let path: [String]
    let documentation: String
    var settings: [DeclaredSetting] = []
}

/// A declared setting, and the value that was found for it.
struct DeclaredSetting: Sendable {
    let key: String
    let documentation: String
    /// The default as TOML; nil if there is none.
    var defaultText: String?
    /// An example value as TOML, for the default file, if there is no default.
    var exampleText: String?
    var isRequired = false
    /// Another environment variable that sets it.
    var environmentName: String?
    /// Whether it is a table, `[section.key]`, and not a value.
    var isTable = false

    /// The effective value as TOML, with secrets hidden; nil if it is not set and has no default.
    var shownText: String?
    /// The entries of a table.
    var shownEntries: [(key: String, text: String, origin: Origin)] = []
    var origin = Origin.defaultValue

    /// The environment variable of the setting.
    func variable(in section: String) -> String {
        LoadedLayers.environmentPrefix
            + (section.split(separator: ".") + [key[...]]).map { $0.uppercased() }.joined(separator: "__")
    }
}

// MARK: - values as TOML

enum TOMLText {
    static func string(_ value: String) -> String {
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }

    static func strings(_ values: [String]) -> String {
        "[" + values.map(string).joined(separator: ", ") + "]"
    }

    /// Formats 1000000 as 1_000_000, which TOML allows.
    static func integer(_ value: Int) -> String {
        let digits = String(value.magnitude)
        guard digits.count > 4 else { return String(value) }
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { text.append("_") }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }

    static func key(_ key: String) -> String {
        let isBare = key.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return isBare && !key.isEmpty ? key : string(key)
    }
}
