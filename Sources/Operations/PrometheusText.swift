/// The name with `_` for each character that Prometheus does not allow in names.
func prometheusName(_ label: String) -> String {
    var name = ""
    for byte in label.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
            name.unicodeScalars.append(Unicode.Scalar(byte))
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            if name.isEmpty { name = "_" }
            name.unicodeScalars.append(Unicode.Scalar(byte))
        default: name += "_"
        }
    }
    return name
}

/// The labels as `{name="value",…}`, sorted by name; empty if there are none.
func prometheusLabels(_ dimensions: [(String, String)]) -> String {
    guard !dimensions.isEmpty else { return "" }
    let pairs = dimensions.map { (prometheusName($0.0), $0.1) }.sorted { $0.0 < $1.0 }
    let text = pairs.map { name, value in
        var escaped = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return "\(name)=\"\(escaped)\""
    }
    return "{" + text.joined(separator: ",") + "}"
}

/// The `# HELP` and `# TYPE` lines of a metric.
func prometheusHead(_ name: String, _ type: String, help: String?) -> String {
    let type = "# TYPE \(name) \(type)\n"
    guard let help else { return type }
    let escaped = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    return "# HELP \(name) \(escaped)\n" + type
}

/// A number in Prometheus's text format.
func prometheusNumber(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    if let whole = Int64(exactly: value) { return String(whole) }
    return String(value)
}
