extension SettingsDeclaration {
    /// A configuration file with every setting, its explanation and its default. Settings with a default are commented
    /// out. Required settings have an example value.
    ///
    /// - Parameter program: the program that has these settings.
    public static func defaultFile(of program: String) -> String {
        let reader = SettingsReader(SettingsSources())
        _ = Self(from: reader)
        var lines = wrapped(
            "Settings of \(program). A line that is commented out shows the default value of its setting.")
        lines += wrapped(
            """
            The environment variable \(LoadedLayers.environmentPrefix)SECTION__KEY and the option \
            --set section.key=value set the same settings and take precedence. The files of the folder conf.d beside \
            this file are read after it, in the order of their names.
            """)
        for section in reader.sections {
            lines += [""] + wrapped(section.documentation) + ["[\(section.name)]"]
            for setting in section.settings where !setting.isTable {
                lines += [""] + explanation(of: setting)
                let value = setting.defaultText ?? setting.exampleText ?? "\"\""
                lines.append("\(setting.isRequired ? "" : "#")\(setting.key) = \(value)")
            }
            for table in section.settings where table.isTable {
                lines += [""] + explanation(of: table)
                lines.append("[\(section.name).\(table.key)]")
                let examples = table.exampleText?.split(separator: "\n").map { "#\($0)" } ?? []
                lines += examples
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func explanation(of setting: DeclaredSetting) -> [String] {
        var text = setting.documentation
        if setting.isRequired { text += " Required." }
        if let name = setting.environmentName { text += " The environment variable \(name) also sets it." }
        if !setting.isRequired, setting.defaultText == nil, !setting.isTable { text += " It is not set by default." }
        return wrapped(text)
    }

    /// The text as comment lines.
    private static func wrapped(_ text: String) -> [String] {
        let width = 100
        var lines: [String] = []
        var line = "#"
        for word in text.split(separator: " ") {
            if line.count + 1 + word.count > width {
                lines.append(line)
                line = "#"
            }
            line += " " + word
        }
        lines.append(line)
        return lines
    }
}
